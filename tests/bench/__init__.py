"""`make bench`: speed as ratios against named baselines, measured side by side in one run."""

"""One address before separate processes: routes by the segment after `/v1`, shows their health."""

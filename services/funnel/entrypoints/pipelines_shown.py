"""Pipelines as clients see them."""

from typing import Any

from services.funnel.app.pipelines import Pipeline, SeenStage, StageSpec, Version


def shown_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    """`version` is null for a pipeline that only events have named."""
    current = pipeline.current
    return {
        "id": pipeline.id,
        "name": current.name if current else pipeline.id,
        "version": current.number if current else None,
        "stages": [_stage(stage) for stage in current.stages] if current else [],
        "archived": [_seen(stage) for stage in pipeline.seen if stage.state == "archived"],
        "discovered": [_seen(stage) for stage in pipeline.seen if stage.state == "discovered"],
        "versions": [_head(version) for version in pipeline.versions],
    }


def shown_version(version: Version) -> dict[str, Any]:
    stages = [_stage(stage) for stage in version.stages]
    return _head(version) | {"name": version.name, "stages": stages}


def _head(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "published_at": version.published_at,
        "published_by": version.published_by,
    }


def _stage(stage: StageSpec) -> dict[str, Any]:
    target = stage.target_conversion
    return {
        "id": stage.id,
        "name": stage.name,
        "class": stage.stage_class,
        "target_conversion": None if target is None else float(target),
        "limit": stage.limit,
    }


def _seen(stage: SeenStage) -> dict[str, Any]:
    return {
        "id": stage.id,
        "name": stage.name,
        "class": stage.stage_class,
        "first_occurred_at": stage.first_occurred_at,
    }

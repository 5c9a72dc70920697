from libs.common.db.migrations_env import run

run("ingest")

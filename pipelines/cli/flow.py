"""`rwsr flow`: the whole way from one config, by hand or by a schedule."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import options, params

if TYPE_CHECKING:
    from ..pipeline import PipelineConfig

_EXAMPLE = """\
# yaml-language-server: $schema=pipeline.schema.json  (rwsr flow schema > pipeline.schema.json)
# Stages by name; an input is the name of another stage, a path or a URL (s3://, gs://, az://).
out: data-set                   # everything is written below, named by what it is made of
stages:
  photos: {scan: {target: photos, grids: {grids: [{size: 64, stride: 32}]}}}     # images to train on, decoded once
  held-out: {index: {folders: held-out, apart_from: photos}}                     # images to measure on
  bank: {bank: {scan: photos, config: {grid: {size: 64, stride: 32}}}}
  groups: {store: {source: photos, preset: mm-realsr, config: {num_samples: 1000, hr_size_px: 256}}}
  test: {store: {source: held-out, preset: mm-realsr, config: {num_samples: 50, hr_size_px: 256, seed: 1}}}
  quality: {report: {store: groups}}
  net: {train: {preset: mm-realsr-small, data: groups, config: {loop: {steps: 2400}}}}
  metrics: {evaluate: {models: net, store: test}}
  page: {report: {metrics: metrics, training: net}}
"""


@click.group(short_help="The whole way from one config, also by a schedule")
def flow() -> None:
    """Go the whole way from one config of named stages, by hand or by a schedule."""


def _config(path: Path, sets: tuple[str, ...]) -> "PipelineConfig":
    from ...degrade.config import composed_values, validated
    from ...degrade.errors import UserError
    from ..pipeline import PipelineConfig, stages_of

    config = validated(PipelineConfig, composed_values(path, sets), str(path))
    try:
        stages_of(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return config


_config_file = click.argument("config_file", type=params.LOCAL, metavar="CONFIG")
_set = click.option(
    "--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Change one config key; may be repeated."
)


@flow.command("example", short_help="A config to start from")
def flow_example() -> None:
    """Print a config to start from.

    \b
    Example:
      rwsr flow example > pipeline.yaml
    """
    click.echo(_EXAMPLE, nl=False)


@flow.command("schema", short_help="The JSON Schema of a config, for editors")
def flow_schema() -> None:
    """Print the JSON Schema of a config, by which an editor completes and checks keys.

    \b
    Example:
      rwsr flow schema > pipeline.schema.json
    """
    import json

    from ..schema import pipeline_schema

    click.echo(json.dumps(pipeline_schema(), indent=1))


@flow.command("run", short_help="Every stage of a config, once")
@_config_file
@_set
@options.trackable
@options.as_json
def flow_run(config_file: Path, sets: tuple[str, ...], track: bool, json_: bool) -> None:
    """Do every stage of CONFIG (YAML or TOML). What is there already is left as it is; killed, the next run goes on.

    New and changed images are found by their content; banks, stores, runs and reports are named by what they are made
    of.

    \b
    Example:
      rwsr flow run pipeline.yaml
    """
    from .. import pipeline

    config = _config(config_file, sets)
    if track:
        flows = options.import_flows()
        flows.check_server(needed=False)
        done = flows.whole(config)
    else:
        done = pipeline.run(config)
    lines = [line for each in done.made.values() for line in each.lines]
    if not done.changed:
        lines.append(pipeline.NOTHING_DONE)
    values = {name: {"at": each.at, "changed": each.changed, **each.values} for name, each in done.made.items()}
    options.tell(values, lines, json_=json_)
    options.exit_by([row for each in done.made.values() for row in each.rows])


@flow.command("serve", short_help="The same by a schedule, until Ctrl-C")
@_config_file
@_set
@click.option("--cron", default=None, metavar="CRON", help="When to run, as cron writes it: '0 3 * * *' is 3 at night.")
@click.option("--interval", "interval_s", type=params.FloatRange(min=1), default=None, help="Or: each so many seconds.")
@click.option("--name", default="rwsr", show_default=True, help="Name of the deployment.")
def flow_serve(config_file: Path, sets: tuple[str, ...], cron: str | None, interval_s: float | None, name: str) -> None:
    """Run CONFIG by a schedule, one run at a time, until Ctrl-C. Needs a Prefect server (PREFECT_API_URL).

    \b
    Example:
      rwsr flow serve pipeline.yaml --cron "0 3 * * *"
    """
    if (cron is None) == (interval_s is None):
        raise click.UsageError("name either --cron or --interval")
    config = _config(config_file, sets)
    flows = options.import_flows(console="INFO")
    flows.serve(config, name=name, cron=cron, interval_s=interval_s)

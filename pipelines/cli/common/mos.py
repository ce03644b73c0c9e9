"""`rwsr eval mos`: people's opinions, on a page."""

from pathlib import Path

import click

from . import options, params


@click.group("mos", short_help="Opinions of people, by a blind page")
def mos() -> None:
    """Have people rate restored patches blindly beside the originals, and take the means (RWSR-EDL table V).

    \b
    Example:
      rwsr eval mos page --hr HR --method ours=restored --method theirs=others --out page.html
      rwsr eval mos means page.html.key.json ratings-1.json ratings-2.json --out mos.html
    """


@mos.command("page", short_help="The page that is rated on")
@click.option("--hr", type=params.LOCAL, required=True, help="Folder of the originals.")
@click.option(
    "--method", "methods", multiple=True, required=True, metavar="NAME=FOLDER", help="What it restored; repeatable."
)
@click.option("--patches", type=click.IntRange(1, 1000), default=40, show_default=True, help="Places, each of all.")
@click.option("--side", type=click.IntRange(32, 1024), default=128, show_default=True, help="Of a patch, pixels.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of where patches are cut.")
@click.option("--out", type=params.LOCAL, required=True, help="The page, one HTML file.")
@options.as_json
def mos_page(hr: Path, methods: tuple[str, ...], patches: int, side: int, seed: int, out: Path, json_: bool) -> None:
    """Write a page with patches of every method in an order of each rater's own, and beside it the key of what is what.

    The page is one file, works offline and sends nothing; people save their ratings as a file. Keep the key to
    yourself.

    \b
    Example:
      rwsr eval mos page --hr HR --method ours=restored --method bicubic=enlarged --out page.html
    """
    from ....eval.mos import write_page

    named: dict[str, Path] = {}
    for each in methods:
        name, equals, folder = each.partition("=")
        if not equals or not name or name in named:
            raise click.UsageError(f"--method {each}: write NAME=FOLDER, each name once")
        named[name] = Path(folder)
    for folder in (hr, *named.values()):
        if not folder.is_dir():
            raise click.UsageError(f"{folder} is no folder")
    if out.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--out {out} is no HTML file; name one that ends in .html")
    key, count = write_page(hr, named, out, patches=patches, side=side, seed=seed)
    options.tell({"page": out, "key": key, "items": count}, [f"wrote {out}, {count} pairs, and {key}"], json_=json_)


@mos.command("means", short_help="What the ratings say")
@click.argument("key", type=params.LOCAL, metavar="KEY")
@click.argument("ratings", nargs=-1, required=True, type=params.LOCAL, metavar="RATINGS...")
@click.option("--out", type=params.LOCAL, default=None, help="A page of the means.")
@options.as_json
def mos_means(key: Path, ratings: tuple[Path, ...], out: Path | None, json_: bool) -> None:
    """Take the means of what people rated; KEY lies beside the page, RATINGS are the files that they saved.

    \b
    Example:
      rwsr eval mos means page.html.key.json ratings-1.json ratings-2.json --out mos.html
    """
    from dataclasses import asdict

    from ....eval.mos import means, write_means

    found = means(key, ratings)
    lines = [
        f"{each.method}: {each.mean:.3f} +- {each.half_width:.3f} ({each.ratings} ratings of {each.raters} people)"
        for each in found
    ]
    if out is not None:
        write_means(found, out)
        lines.append(f"wrote {out}")
    options.tell({"means": [asdict(each) for each in found]}, lines, json_=json_)

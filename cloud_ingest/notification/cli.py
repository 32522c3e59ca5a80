"""``quantrac cloud notify-test``: send a test message through a channel."""

from typing import Annotated

import typer

from quantrac.console import (
    FOUND_A_PROBLEM,
    Format,
    Level,
    LogFormat,
    LogLevel,
    start_logging,
    stop,
)

app = typer.Typer(no_args_is_help=True, help="Try notification channels.")


@app.command(
    "notify-test",
    epilog="Example: quantrac cloud notify-test mailto://user:password@mail.example/?to=me@mail.example",
)
def notify_test(
    urls: Annotated[list[str], typer.Argument(help="Apprise addresses to send a test message to.")],
    *,
    language: Annotated[str, typer.Option(help="vi or en.")] = "vi",
    log_level: LogLevel = Level.INFO,
    log_format: LogFormat = Format.TEXT,
) -> None:
    """Send one test message to each address and say which arrived. Exits 1 if any did not."""
    from cloud_ingest.notification.channel_test import try_channel
    from cloud_ingest.notification.channels import channels

    start_logging(log_level, log_format)
    if language not in ("vi", "en"):
        stop(f"--language {language}: there are vi and en")
    try:
        found = channels(urls)
    except ValueError as error:
        stop(error)
    results = [try_channel(channel, language) for channel in found]
    for result in results:
        if result.error is None:
            typer.echo(f"{result.channel}: sent")
        else:
            typer.echo(f"{result.channel}: not sent: {result.error[language]} [{result.detail}]")
    if not all(result.ok for result in results):
        raise typer.Exit(FOUND_A_PROBLEM)

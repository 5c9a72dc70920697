"""`python probe.py /readyz`: exit 0 if the process of this container answers the path with 200."""

import http.client
import os
import sys

SECONDS = 4.0


def main(path: str, port: int) -> int:
    """No proxy and no redirect comes between; the answer's text is told when it is not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        answer, text = None, f"no answer: {error}"
    finally:
        connection.close()
    well = answer is not None and answer.status == http.client.OK
    if not well:
        sys.stderr.write(f"{text}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(os.environ.get("HEADWAY_PORT", "8080"))))  # noqa: TID251

def main() -> None:
    raise SystemExit("streams: no commands yet")

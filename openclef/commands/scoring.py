"""A clinical risk score of one patient on the command line."""

# The signatures are the options and the docstrings their help, so nothing heavy is imported up here.
from __future__ import annotations

__all__ = ["score"]


def score(arguments: list[str]) -> int:
    """Compute one patient's score, in its validated range only, and print it as JSON.

    Args:
        arguments: the score's name and its inputs, for example ["score2", "--age_years", "50", "--sex", "male"].

    Example:
        >>> score(["age", "--age_years", "50"])
        {
         "score": "age",
        ...
    """
    import jsonargparse

    from openclef.commands.listing import print_json
    from openclef.risk import SCORES, patient_arguments, score_patient

    if not arguments or arguments[0].startswith("-"):
        print(f"usage: openclef score NAME [inputs]\n\nNAME is one of {', '.join(SCORES)};")
        print("openclef score NAME --help shows its inputs. An input that is left out counts as unknown.")
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    name, *rest = arguments
    if name not in SCORES:
        raise ValueError(f"score {name!r} is unknown; pass one of {', '.join(SCORES)}.")
    parser = jsonargparse.ArgumentParser(prog=f"openclef score {name}", description=SCORES[name].title)
    parser.add_argument("--config", action="config", help="YAML file with any of the inputs below")
    for argument, (kind, line) in patient_arguments(name).items():
        default = {"default": "low"} if argument == "region" else {"default": None}
        parser.add_argument(f"--{argument}", type=kind, help=line, **default)
    inputs = parser.parse_args(rest).as_dict()
    inputs.pop("config", None)
    print_json(score_patient(name, **inputs))
    return 0

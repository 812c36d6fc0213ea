"""What a source lost to damage, and whether the result still counts as whole. Reads nothing.

Damage never stops a run unless `--strict` says so. A result is whole as long as no more than one picture in a
hundred is lost, and no more than a second of them in all; two pictures are always forgiven.
"""

from dataclasses import dataclass

from svmv_cli.errors import DamagedError, InputError
from svmv_cli.pipeline.plan import Plan
from svmv_cli.pipeline.report import Tally

_FORGIVEN = 2  # pictures
_FORGIVEN_SHARE = 100  # one in so many


@dataclass(frozen=True, slots=True)
class Damage:
    """What went wrong while a source was read."""

    packets: int  # of the picture: torn, or not to be decoded; what the decoder made of them is kept
    others: int  # of sound and the rest: torn, or not to be decoded
    lost: int  # pictures that should have come and did not
    forgiven: int  # lost pictures with which the result is still whole

    @property
    def partial(self) -> bool:
        """Whether so much is lost that the result must not be taken for the whole."""
        return self.lost > self.forgiven

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user; none when all is well."""
        counted = (
            (self.packets, "broken packet", "of the picture, concealed"),
            (self.lost, "picture", "lost, bridged where others follow"),
            (self.others, "broken packet", "of sound or other streams"),
        )
        told = "; ".join(f"{count} {noun}{'s' * (count > 1)} {rest}" for count, noun, rest in counted if count)
        return (f"the source is damaged: {told}",) if told else ()


def assess(plan: Plan, total: Tally, *, others: int) -> Damage:
    """Weigh what was counted in a run.

    Args:
        plan: what was expected.
        total: what came.
        others: broken packets of the other streams.

    Raises:
        DamagedError: something is broken, and the plan is strict.
    """
    lost, forgiven = _losses(plan, total)
    damage = Damage(packets=total.damaged, others=others, lost=lost, forgiven=forgiven)
    if plan.strict and damage.notes:
        raise broken(plan, packets=total.damaged + others, lost=damage.lost)
    return damage


def _losses(plan: Plan, total: Tally) -> tuple[int, int]:
    """How many pictures are lost, and how many may be."""
    if plan.frames_in is None or plan.duration is None:
        return total.damaged, 0  # a fault in a pipe is its end, and how much more should have come nobody knows
    expected = plan.frames_in + plan.missing
    second = int(plan.frames_in * plan.target.clock.stretch / plan.duration)
    return max(0, expected - total.frames), max(_FORGIVEN, min(expected // _FORGIVEN_SHARE, second))


def nothing_decoded(plan: Plan) -> InputError:
    """The refusal of a source that gave no picture."""
    return InputError(f"no picture of {plan.source} can be decoded", hint="Try to copy or download it again.")


def broken(plan: Plan, *, packets: int, lost: int) -> DamagedError:
    """The refusal of a damaged source, for a plan that is strict."""
    promised = "" if plan.frames_in is None else f" of {plan.frames_in + plan.missing}"
    return DamagedError(
        f"{plan.source} is damaged: {packets} broken packets, {lost}{promised} pictures lost",
        hint="Without --strict, what can be made of it is kept.",
    )

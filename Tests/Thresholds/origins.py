"""Shows where a work's counts come from: functions by instructions, lines by retains and allocations."""

import collections

import instruments
import ledger
import measured
import symbols

FUNCTIONS, PLACES, ALLOCATIONS, DEEP = 45, 60, 20, 4


def show(work, transport):
    with measured.directory() as path:
        show_instructions(work, transport, path)
        show_counts(work, transport, path)
        show_system_calls(work, transport, path)


def table(title, rows):
    print(f"\n{title}\n")
    for number, share, text in rows:
        print(f"{number:>10} {share:>7}  {text}")


def show_instructions(work, transport, path):
    with measured.running(instruments.Instructions, path) as (one, asking):
        count = one.requests
        found = one.measure(asking(work, transport), count)
        profile = one.profile
    retaining = profile.callers(instruments.RETAINS)
    inclusive = profile.inclusive()
    names = symbols.demangled(set(profile.own) | set(inclusive))

    def functions(costs):
        return [(f"{cost / count:,.0f}", f"{cost / profile.total:.1%}", names.get(name, name))
                for name, cost in costs.most_common(FUNCTIONS)]

    print(f"{work} over {transport}, per request: {found['instructions']:,.0f} instructions, "
          f"{found['retains']:.1f} retains and releases")
    table("instructions by file", functions(profile.by_object))
    table("instructions of a function itself", functions(profile.own))
    table("instructions with everything below", functions(inclusive))
    table("retains and releases by calling function",
          [(f"{number / count:.2f}", "", names.get(name, name))
           for name, number in retaining.most_common(FUNCTIONS)])


def show_counts(work, transport, path):
    with measured.running(instruments.Counting, path) as (one, asking):
        ask, count = asking(work, transport), one.requests
        one.measure(ask, count)
        print("\nper request, by queue or thread\n")
        for owner, numbers in one.by_owner.items():
            if any(numbers.values()):
                told = ", ".join(f"{kind} {number / count:.3f}" for kind, number in numbers.items())
                print(f"  {owner.split('/')[0]:28} {told}")
        stacks = one.trace(ask, count, ledger.ALLOCATIONS + ledger.RETAINS)
        known = symbols.Symbols(one.gatehouse.pid)
        frames = known.frames({address for stack in stacks for address in stack.frames})
    for kinds, title, most in (
            (ledger.ALLOCATIONS, "allocations", ALLOCATIONS),
            (ledger.RETAINS, "retains and releases", PLACES)):
        places = collections.Counter()
        for stack in stacks:
            if stack.kind in kinds:
                places[stack.kind, chain(stack, frames)] += stack.count
        table(f"{title} by their callers",
              [(f"{number / count:.2f}", kind, text) for (kind, text), number in places.most_common(most)])


def chain(stack, frames):
    """The innermost functions of a stack, from the first one of the program itself on."""
    flat = [frame for address in stack.frames for frame in frames[address]]
    first = next((place for place, frame in enumerate(flat) if frame[2]), 0)
    shown = [f"{name} {place}".rstrip() for name, place, _ in flat[first:first + DEEP]]
    outside = f"{flat[first - 1][0]} ← " if first else ""
    return outside + " ← ".join(shown)


def show_system_calls(work, transport, path):
    with measured.running(instruments.SystemCalls, path) as (one, asking):
        count = one.requests
        one.measure(asking(work, transport), count)
        table("system calls",
              [(f"{number / count:.3f}", "", name) for name, number in one.by_name.most_common()])

"""Names for addresses of a running program: functions and source lines, inlined ones among them."""

import pathlib
import re
import subprocess

MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-x. ([0-9a-f]+) \S+ \d+ +(/\S+)")


def swift_program(name):
    """One of the programs that come with the Swift compiler."""
    compiler = subprocess.run(
        ["swiftc", "-print-target-info"], capture_output=True, text=True, check=True, timeout=60)
    found = re.search(r'"runtimeResourcePath": *"([^"]+)"', compiler.stdout)[1]
    return str(pathlib.Path(found).parents[1] / "bin" / name)


def demangled(names):
    """Swift's names as they stand in the source, others as they are."""
    names = list(names)
    done = subprocess.run(
        [swift_program("swift-demangle"), "--simplified"], input="\n".join(names), capture_output=True,
        text=True, check=True, timeout=60)
    return dict(zip(names, (shortened(line) for line in done.stdout.split("\n"))))


def shortened(name):
    """Without what the compiler says about its own work."""
    made = r"^(specialized|merged|outlined|(generic|function signature) specialization <.*?> of) "
    return re.sub(made, "", name)


class Symbols:
    """Of one process, as its memory is laid out now."""

    def __init__(self, pid):
        self.mappings = []
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            if match := MAPPING.match(line):
                start, end, offset, path = match.groups()
                self.mappings.append((int(start, 16), int(end, 16), int(offset, 16), path))
        self.program = str(pathlib.Path(f"/proc/{pid}/exe").resolve())
        self.bases = {}

    def place(self, address):
        """The file an address belongs to, and the address in that file."""
        for start, end, offset, path in self.mappings:
            if start <= address < end:
                return path, address - start + offset + self.skew(path)
        return None, address

    def skew(self, path):
        """How far the code's addresses in a file are from its place in that file."""
        if path not in self.bases:
            headers = subprocess.run(
                ["readelf", "-lW", path], capture_output=True, text=True, check=True, timeout=60)
            found = re.search(r"LOAD +0x([0-9a-f]+) 0x([0-9a-f]+) 0x\S+ 0x\S+ 0x\S+ R E", headers.stdout)
            self.bases[path] = int(found[2], 16) - int(found[1], 16)
        return self.bases[path]

    def frames(self, addresses):
        """By return address, the functions it stands for, innermost first.

        Each is (its name, its place in the source, whether it is of the program itself).
        """
        places, found = {}, {}
        for address in addresses:
            # A return address is behind its call.
            path, offset = self.place(address - 1)
            places.setdefault(path, {})[address] = offset
        for path, offsets in places.items():
            if path is None:
                found |= {address: [("?", "", False)] for address in offsets}
                continue
            done = subprocess.run(
                [swift_program("llvm-symbolizer"), f"--obj={path}", "--no-demangle"], capture_output=True,
                text=True, check=True, input="\n".join(map(hex, offsets.values())), timeout=120)
            for address, block in zip(offsets, done.stdout.split("\n\n")):
                lines = block.strip("\n").split("\n")
                found[address] = [
                    (name, source_place(line), path == self.program)
                    for name, line in zip(lines[::2], lines[1::2])]
        names = demangled({name for frames in found.values() for name, _, _ in frames})
        return {
            address: [(names[name], place, own) for name, place, own in frames]
            for address, frames in found.items()}


def source_place(line):
    """`File.swift:12` of what the symbolizer says; nothing for code that the compiler made."""
    path, number, _ = line.rsplit(":", 2)
    is_known = number != "0" and "?" not in path and "<compiler" not in path
    return f"{pathlib.PurePath(path).name}:{number}" if is_known else ""

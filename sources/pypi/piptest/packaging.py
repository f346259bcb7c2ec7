"""Answers questions with pip's own copy of packaging: one JSON list a line."""
import json
import sys

from pip._vendor.packaging import markers, requirements, specifiers, tags, utils, version


def contains(text, wanted):
    return specifiers.SpecifierSet(wanted).contains(version.Version(text), prereleases=True)


def compare(a, b):
    a, b = version.Version(a), version.Version(b)
    return (a > b) - (a < b)


def normal(text):
    return str(version.Version(text))


def holds(text, environment, extras):
    marker = markers.Marker(text)
    return any(marker.evaluate({**environment, "extra": e}) for e in extras or [""])


def requirement(text):
    r = requirements.Requirement(text)
    specs = sorted({s.operator + normal_of(s.operator, s.version) for s in r.specifier})
    return [utils.canonicalize_name(r.name), sorted({utils.canonicalize_name(e) for e in r.extras}), specs, r.url or "", r.marker is not None]


def normal_of(operator, text):
    if operator == "===":
        return text.lower()
    star = text.endswith(".*")
    return normal(text[:-2] if star else text) + (".*" if star else "")


def supported(minor, abis, platforms, interpreter):
    python = (3, minor)
    if interpreter.startswith("cp"):
        found = list(tags.cpython_tags(python, abis, platforms))
    else:
        found = list(tags.generic_tags(interpreter, abis, platforms))
    found += tags.compatible_tags(python, interpreter, platforms)
    return [str(t) for t in found]


def linux(arch, glibc):
    from pip._vendor.packaging import _manylinux, _musllinux

    major, minor = glibc.split(".")
    _manylinux._get_glibc_version = lambda: (int(major), int(minor))
    _manylinux._have_compatible_abi = lambda executable, archs: True
    _musllinux._get_musl_version = lambda executable: None
    import sysconfig

    sysconfig.get_platform = lambda: "linux_" + arch
    return list(tags._linux_platforms(is_32bit=False))


def mac(major, minor, arch):
    return list(tags.mac_platforms((major, minor), arch))


def wheel(name):
    project, found, build, all_tags = utils.parse_wheel_filename(name)
    return [project, str(found), [str(b) for b in build], sorted(map(str, all_tags))]


for line in sys.stdin:
    function, *arguments = json.loads(line)
    try:
        answer = {"answer": globals()[function](*arguments)}
    except Exception as e:
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer))

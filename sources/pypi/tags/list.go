package tags

import "fmt"

// List returns the tags of the target, the most preferred first.
func (t *Target) List() []string {
	all := make([]string, len(t.order))
	for tag, i := range t.order {
		all[i] = tag
	}
	return all
}

// Platforms returns the platform tags of the target's machine, the most
// preferred first.
func (t *Target) Platforms() []string {
	p := t.platform
	switch {
	case p.system == "windows":
		return []string{t.Platform}
	case p.system == "macos":
		return p.macos()
	case p.libc == "manylinux":
		return append([]string{"linux_" + p.arch}, p.manylinux()...)
	case p.libc == "musllinux":
		all := []string{"linux_" + p.arch}
		for minor := p.minor; minor >= 0; minor-- {
			all = append(all, fmt.Sprintf("musllinux_1_%d_%s", minor, p.arch))
		}
		return all
	}
	return []string{"linux_" + p.arch}
}

func (p platform) manylinux() []string {
	var all []string
	for minor := p.minor; minor >= oldestGlibc(p.arch); minor-- {
		all = append(all, fmt.Sprintf("manylinux_2_%d_%s", minor, p.arch))
		if name, ok := legacy[minor]; ok {
			all = append(all, name+"_"+p.arch)
		}
	}
	return all
}

// macos: from version 11 on each year has a new major version; universal2
// files may name an older system for their x86_64 half.
func (p platform) macos() []string {
	var all []string
	add := func(major, minor int, formats ...string) {
		for _, f := range formats {
			all = append(all, fmt.Sprintf("macosx_%d_%d_%s", major, minor, f))
		}
	}
	formats := []string{"x86_64", "intel", "fat64", "fat3", "universal2", "universal"}
	if p.arch == "arm64" {
		formats = []string{"arm64", "universal2"}
	}
	for major := p.major; major >= 11; major-- {
		add(major, 0, formats...)
	}
	last := p.minor
	if p.major >= 11 {
		last = 16
	}
	for minor := last; minor >= 4; minor-- {
		if p.arch == "arm64" {
			add(10, minor, "universal2")
		} else {
			add(10, minor, formats...)
		}
	}
	return all
}

// list: the interpreter's own ABI, the stable ABI, no ABI, the stable ABI of
// earlier versions, then what is Python alone, for this platform and for any.
func (t *Target) list() []string {
	interpreter, platforms := t.interpreter(), t.Platforms()
	var all []string
	add := func(python, abi string) {
		for _, p := range platforms {
			all = append(all, python+"-"+abi+"-"+p)
		}
	}
	if t.Implementation == PyPy {
		add(interpreter, fmt.Sprintf("pypy3%d_pp73", t.minor))
		add(interpreter, "none")
	} else {
		t.cpython(add)
	}
	pythons := []string{fmt.Sprintf("py3%d", t.minor), "py3"}
	for minor := t.minor - 1; minor >= 0; minor-- {
		pythons = append(pythons, fmt.Sprintf("py3%d", minor))
	}
	for _, python := range pythons {
		add(python, "none")
	}
	all = append(all, interpreter+"-none-any")
	for _, python := range pythons {
		all = append(all, python+"-none-any")
	}
	return all
}

func (t *Target) cpython(add func(python, abi string)) {
	const firstStable = 2 // the stable ABI begins with Python 3.2
	interpreter, stable := t.interpreter(), "abi3"
	abi := interpreter + t.suffix()
	if t.minor < 8 {
		abi += "m"
	}
	if t.Threaded {
		stable = "abi3t" // PEP 803; abi3 does not hold there
	}
	add(interpreter, abi)
	if t.minor >= firstStable {
		add(interpreter, stable)
	}
	add(interpreter, "none")
	for minor := t.minor - 1; minor >= firstStable; minor-- {
		add(fmt.Sprintf("cp3%d", minor), stable)
	}
}

package tags

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/marker"
)

// Implementations of Python that a Target may have.
const (
	CPython = "cpython"
	PyPy    = "pypy"
)

// Target is one kind of interpreter on one kind of machine.
type Target struct {
	// Python is the version: "3.12", or "3.12.4" in full.
	Python string
	// Threaded means that it is a build without the global lock ("3.13t").
	Threaded       bool
	Implementation string
	// Platform is the newest platform tag of the machine.
	Platform string

	minor    int
	platform platform
	order    map[string]int // by tag; less is better
}

// platform is a Platform taken apart.
type platform struct {
	system       string // linux, macos or windows
	libc         string // manylinux, musllinux, or "" for a plain linux tag
	major, minor int    // of the C library or the system
	arch         string
}

// maxVersion bounds numbers of versions in a target: each has tags of its own.
const maxVersion = 99

// legacy names of manylinux platforms, by the minor version of glibc 2.
var legacy = map[int]string{17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}

// NewTarget checks a target and lists its tags. implementation "" is CPython.
func NewTarget(python, implementation, platformTag string) (*Target, error) {
	t := &Target{Python: python, Implementation: implementation, Platform: platformTag}
	if implementation == "" {
		t.Implementation = CPython
	}
	t.Python, t.Threaded = strings.CutSuffix(python, "t")
	var err error
	if t.minor, err = pythonMinor(t.Python); err != nil {
		return nil, err
	}
	switch {
	case t.Implementation != CPython && t.Implementation != PyPy:
		return nil, fmt.Errorf("implementation: want %s or %s, got %q", CPython, PyPy, implementation)
	case t.Threaded && (t.Implementation != CPython || t.minor < 13):
		return nil, fmt.Errorf("python %q: builds without the global lock begin with CPython 3.13", python)
	}
	if t.platform, err = parsePlatform(platformTag); err != nil {
		return nil, err
	}
	t.order = map[string]int{}
	for _, tag := range t.list() {
		if _, ok := t.order[tag]; !ok {
			t.order[tag] = len(t.order)
		}
	}
	return t, nil
}

// pythonMinor reads "3.12" and "3.12.4".
func pythonMinor(version string) (int, error) {
	parts := strings.Split(version, ".")
	numbers := make([]int, len(parts))
	for i, part := range parts {
		n, ok := decimal(part)
		if !ok {
			return 0, fmt.Errorf("python: want a version like 3.12 or 3.12.4, got %q", version)
		}
		numbers[i] = n
	}
	if len(parts) != 2 && len(parts) != 3 || numbers[0] != 3 {
		return 0, fmt.Errorf("python: want a version like 3.12 or 3.12.4, got %q", version)
	}
	return numbers[1], nil
}

// decimal reads at most two digits.
func decimal(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= maxVersion && strconv.Itoa(n) == s
}

// oldest glibc whose wheels run on an architecture; those of others than
// x86 begin with manylinux2014.
func oldestGlibc(arch string) int {
	if arch == "x86_64" || arch == "i686" {
		return 5
	}
	return 17
}

func parsePlatform(tag string) (p platform, err error) {
	bad := fmt.Errorf("platform %q: want manylinux_2_28_x86_64, manylinux2014_aarch64, musllinux_1_2_x86_64, macosx_11_0_arm64, win_amd64 or the like", tag)
	switch tag {
	case "win32", "win_amd64", "win_arm64":
		return platform{system: "windows", arch: strings.TrimPrefix(strings.TrimPrefix(tag, "win_"), "win")}, nil
	}
	for minor, name := range legacy {
		if arch, ok := strings.CutPrefix(tag, name+"_"); ok {
			tag = fmt.Sprintf("manylinux_2_%d_%s", minor, arch)
		}
	}
	if arch, ok := strings.CutPrefix(tag, "linux_"); ok && isArch(arch) {
		return platform{system: "linux", arch: arch}, nil
	}
	parts := strings.SplitN(tag, "_", 4)
	if len(parts) != 4 || !isArch(parts[3]) {
		return p, bad
	}
	major, ok1 := decimal(parts[1])
	minor, ok2 := decimal(parts[2])
	if !ok1 || !ok2 {
		return p, bad
	}
	p = platform{system: "linux", libc: parts[0], major: major, minor: minor, arch: parts[3]}
	switch {
	case p.libc == "manylinux" && p.major == 2 && p.minor >= oldestGlibc(p.arch):
	case p.libc == "musllinux" && p.major == 1:
	case p.libc == "macosx" && p.major >= 10 && (p.arch == "x86_64" || p.arch == "arm64" && p.major >= 11):
		p.system, p.libc = "macos", ""
	default:
		return p, bad
	}
	return p, nil
}

func isArch(arch string) bool {
	switch arch {
	case "x86_64", "i686", "aarch64", "armv7l", "ppc64le", "ppc64", "s390x", "riscv64", "loongarch64", "arm64":
		return true
	}
	return false
}

// Name returns the target in words that can be a file's name, such as
// "cp312-manylinux_2_28_x86_64".
func (t *Target) Name() string {
	return t.interpreter() + t.suffix() + "-" + t.Platform
}

func (t *Target) suffix() string {
	if t.Threaded {
		return "t"
	}
	return ""
}

func (t *Target) interpreter() string {
	if t.Implementation == PyPy {
		return fmt.Sprintf("pp3%d", t.minor)
	}
	return fmt.Sprintf("cp3%d", t.minor)
}

// Environment returns what markers see on the target. platform_release and
// platform_version are not known.
func (t *Target) Environment() *marker.Environment {
	values := map[string]string{
		marker.PythonVersion: fmt.Sprintf("3.%d", t.minor), marker.PythonFullVersion: t.Python,
		marker.ImplementationName: t.Implementation,
	}
	if t.Implementation == PyPy {
		values[marker.PlatformPythonImplementation] = "PyPy" // whose own version the target does not have
	} else {
		values[marker.PlatformPythonImplementation], values[marker.ImplementationVersion] = "CPython", t.Python
	}
	values[marker.OSName], values[marker.PlatformMachine] = "posix", t.platform.arch
	switch t.platform.system {
	case "linux":
		values[marker.SysPlatform], values[marker.PlatformSystem] = "linux", "Linux"
	case "macos":
		values[marker.SysPlatform], values[marker.PlatformSystem] = "darwin", "Darwin"
	default:
		values[marker.OSName], values[marker.SysPlatform], values[marker.PlatformSystem] = "nt", "win32", "Windows"
		values[marker.PlatformMachine] = map[string]string{"32": "x86", "amd64": "AMD64", "arm64": "ARM64"}[t.platform.arch]
	}
	return &marker.Environment{Values: values, Partial: strings.Count(t.Python, ".") == 1}
}

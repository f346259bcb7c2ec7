package marker

import (
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/sources/pypi/pep440"
)

// Variables of a marker that an environment has values for.
const (
	OSName                       = "os_name"
	SysPlatform                  = "sys_platform"
	PlatformMachine              = "platform_machine"
	PlatformPythonImplementation = "platform_python_implementation"
	PlatformRelease              = "platform_release"
	PlatformSystem               = "platform_system"
	PlatformVersion              = "platform_version"
	PythonVersion                = "python_version"
	PythonFullVersion            = "python_full_version"
	ImplementationName           = "implementation_name"
	ImplementationVersion        = "implementation_version"
)

const (
	extraVariable  = "extra"
	extrasVariable = "extras"
	groupsVariable = "dependency_groups"
)

// variables has every name that a marker may use, and the name it means.
var variables = map[string]string{
	OSName: OSName, SysPlatform: SysPlatform, PlatformMachine: PlatformMachine,
	PlatformPythonImplementation: PlatformPythonImplementation, PlatformRelease: PlatformRelease,
	PlatformSystem: PlatformSystem, PlatformVersion: PlatformVersion, PythonVersion: PythonVersion,
	PythonFullVersion: PythonFullVersion, ImplementationName: ImplementationName,
	ImplementationVersion: ImplementationVersion,
	extraVariable:         extraVariable, extrasVariable: extrasVariable, groupsVariable: groupsVariable,
	// Names from before PEP 508, in old metadata.
	"os.name": OSName, "sys.platform": SysPlatform, "platform.version": PlatformVersion,
	"platform.machine": PlatformMachine, "platform.python_implementation": PlatformPythonImplementation,
	"python_implementation": PlatformPythonImplementation,
}

// Environment is the machine and interpreter that markers are evaluated for.
type Environment struct {
	// Values by variable; a variable that is absent is unknown.
	Values map[string]string
	// Partial means that python_full_version and implementation_version have
	// two numbers, and stand for every version that begins with them.
	Partial bool
	// Groups is the value of dependency_groups.
	Groups []string
}

// Selection is what of a project is asked for besides the project itself.
type Selection struct {
	// Extras in normal form. The variable extra holds if it does for one of
	// them, or for "" where there is none.
	Extras []string
}

// farPatch stands for the last release of a Python version.
const farPatch = "999999"

// points returns versions that stand for all that a partial version may be, when
// it is compared with bound: comparison changes its result at the bound alone.
func (e *Environment) points(value string, bound string) []string {
	points := []string{value + ".0", value + "." + farPatch}
	v, err := pep440.Parse(strings.TrimSuffix(bound, ".*"))
	if err != nil || v.Release(0)+"."+v.Release(1) != value {
		return points
	}
	return append(points, value+"."+v.Release(2), value+"."+v.Release(2)+".1", value+"."+before(v.Release(2)))
}

// before returns the number before n, which is in digits.
func before(n string) string {
	digits := []byte(n)
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i] != '0' {
			digits[i]--
			break
		}
		if i == 0 {
			return "0"
		}
		digits[i] = '9'
	}
	return string(digits)
}

// AdmitsPython reports whether the environment's Python meets set, the value
// of a Requires-Python field. It is ErrUnknown where that depends on a number
// that is not known.
func (e *Environment) AdmitsPython(set pep440.Set) (bool, error) {
	value, known := e.Values[PythonFullVersion]
	result := yes
	for _, one := range set {
		if !known {
			return false, &UnknownError{Variable: PythonFullVersion, Expression: set.String()}
		}
		bound := one.Version().String()
		result = result.and(e.agreement(value, bound, func(v string) bool {
			version, err := pep440.Parse(v)
			return err == nil && one.Contains(version)
		}))
	}
	if result == unknown {
		return false, &UnknownError{Variable: PythonFullVersion, Expression: set.String()}
	}
	return result == yes, nil
}

// agreement returns what holds returns for value, or of all that value stands for.
func (e *Environment) agreement(value, bound string, holds func(string) bool) truth {
	points := []string{value}
	if e.Partial {
		points = e.points(value, bound)
	}
	first := holds(points[0])
	if slices.ContainsFunc(points, func(p string) bool { return holds(p) != first }) {
		return unknown
	}
	return truthOf(first)
}

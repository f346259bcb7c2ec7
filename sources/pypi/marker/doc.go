// Package marker reads dependency specifiers ("name[extra]>=1; marker") and
// evaluates their environment markers for an environment that is not this
// machine's. The specification is "Dependency specifiers" (PEP 508) with
// normalised extras (PEP 685) and the set variables of lock files (PEP 751).
//
// Evaluation has three values. A variable that an environment does not have, such as the
// kernel's release or the third number of the Python version, is unknown; an
// answer that depends on it is ErrUnknown and never a guess.
//
// Versions are compared where the variable holds one (python_version,
// python_full_version, implementation_version, platform_release), everything
// else as text, as packaging 26 does.
package marker

// Package version reads and compares versions and ranges as ansible-galaxy does.
//
// A collection has a version of Semantic Versioning 2.0.0 (https://semver.org): three numbers, a
// pre-release, build metadata that counts for nothing in comparisons. A range is a list of
// conditions with commas between them, all of which have to hold. A condition is an operator
// (==, =, !=, >, >=, <, <=, none means ==) and a version that may lack its last numbers ("2.1" is
// 2.1.0), or "*". Blanks around a condition are ignored.
//
// A role has the name of a tag for a version, in any form. Tags are ordered by runs of digits and
// letters, as Python's LooseVersion orders them.
package version

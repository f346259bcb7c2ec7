package closure

import "slices"

// archGroups returns, for each base architecture, those that its hosts can run,
// best first. An element is a group of equals for the choice among providers:
// libsolv takes those of the best group that there is.
func archGroups(base string) [][]string {
	x86 := []string{"i686", "i586", "i486", "i386"}
	switch base {
	case "x86_64":
		return [][]string{{"x86_64"}, x86}
	case "i386", "i686":
		return [][]string{x86}
	case "armhfp", "armv7hl":
		return [][]string{{"armv7hnl", "armv7hl", "armv6hl"}}
	case "aarch64", "ppc64le", "s390x", "riscv64", "ppc64", "loongarch64":
		return [][]string{{base}}
	}
	return [][]string{{base}}
}

// archRank returns the place of arch in groups: 1 is the best, 0 noarch, -1 cannot be
// run.
func archRank(groups [][]string, arch string) int {
	if arch == "noarch" {
		return 0
	}
	for i, g := range groups {
		if slices.Contains(g, arch) {
			return i + 1
		}
	}
	return -1
}

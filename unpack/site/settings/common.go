package settings

import (
	"fmt"
	"path"
	"strings"
)

// Common returns the environment variables of programs that ask an index, whatever project they
// are run for.
func Common() []Variable {
	return []Variable{
		{Name: "PIP_INDEX_URL", Where: Environment, By: "pip", Form: Custom, Make: pipIndex, Spec: specPython},
		{Name: "PIP_EXTRA_INDEX_URL", Where: Environment, By: "pip", Form: Custom, Make: pipExtra, Spec: specPython + "\n" + specPython218, Note: "the other sources of Python packages of this mirror"},
		{Name: "PIP_TRUSTED_HOST", Where: Environment, By: "pip", Form: Custom, Make: pipTrusted, Spec: specPython, Note: "pip believes a mirror without TLS only by name"},
		{Name: "UV_DEFAULT_INDEX", Where: Environment, By: "uv", Form: Custom, Make: pipIndex, Spec: specPython},
		{Name: "UV_INDEX", Where: Environment, By: "uv", Form: Custom, Make: pipExtra, Spec: specPython + "\n" + specPython218},
		{Name: "ANSIBLE_GALAXY_SERVER", Where: Environment, By: "ansible-galaxy", Form: Custom, Make: galaxyServer, Spec: `- {name: galaxy, kind: galaxy, collections: ["ansible.posix:2.1.0"]}`},
		{Name: "GIT_CONFIG_COUNT", Where: Environment, By: "git", Form: Custom, Make: gitVariables, Note: "git reads its repositories from the mirror by their public addresses, submodules too", Spec: `- {name: deepops, kind: git, url: "https://github.com/NVIDIA/deepops.git"}`},
	}
}

// pythonIndexes returns the addresses of the indexes of Python packages.
func (m *Mirror) pythonIndexes() (all []string) {
	for _, at := range m.glob("pypi/*/simple/index.html") {
		all = append(all, m.url(path.Dir(at))+"/")
	}
	return all
}

func pipIndex(m *Mirror) (any, string, bool) {
	if all := m.pythonIndexes(); len(all) > 0 {
		return all[0], "", true
	}
	return nil, "", false
}

func pipExtra(m *Mirror) (any, string, bool) {
	if all := m.pythonIndexes(); len(all) > 1 {
		return strings.Join(all[1:], " "), "", true
	}
	return nil, "", false
}

func pipTrusted(m *Mirror) (any, string, bool) {
	return shellLines("case " + shellText(m.Base) + " in http://*) export PIP_TRUSTED_HOST=" + shellText(m.Host) + " ;; esac"), "", len(m.pythonIndexes()) > 0
}

// galaxies returns the addresses of the copies of Galaxy.
func (m *Mirror) galaxies() (all []string) {
	for _, at := range m.glob("galaxy/*") {
		all = append(all, m.url(at)+"/")
	}
	return all
}

func galaxyServer(m *Mirror) (any, string, bool) {
	all := m.galaxies()
	switch len(all) {
	case 0:
		return nil, "", false
	case 1:
		return all[0], "", true
	}
	return all[0], "one of " + fmt.Sprint(len(all)) + "; ansible.cfg can name several: gapbundle clients --for galaxy", true
}

// rewrite is a folder of repositories and an address that it stands for.
type rewrite struct{ to, from string }

// rewrites returns the rewrites of git.
func (m *Mirror) rewrites() (all []rewrite) {
	for _, at := range m.glob("git/*") {
		host := registryOf(path.Base(at))
		for _, from := range []string{"https://" + host + "/", "http://" + host + "/", "git@" + host + ":", "ssh://git@" + host + "/"} {
			all = append(all, rewrite{m.url(at) + "/", from})
		}
	}
	return all
}

// shellLines are lines of a file of environment variables that were written already.
type shellLines string

func gitVariables(m *Mirror) (any, string, bool) {
	all := m.rewrites()
	var b strings.Builder
	fmt.Fprintf(&b, "export GIT_CONFIG_COUNT=%d", len(all))
	for i, r := range all {
		fmt.Fprintf(&b, "\nexport GIT_CONFIG_KEY_%d=%s GIT_CONFIG_VALUE_%d=%s", i, shellText("url."+r.to+".insteadOf"), i, shellText(r.from))
	}
	return shellLines(b.String()), "", len(all) > 0
}

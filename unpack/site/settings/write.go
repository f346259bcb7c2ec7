package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Text is a file of settings. Its path begins with the name by which people ask for it.
type Text struct {
	Path    string
	Content []byte
}

// Write returns the files for one mirror, in no order, with placeholders for its address.
// There is none for a program or project for which the mirror has nothing. notes name what
// the mirror has and the files lack, with the reason. The error is one of reading Clients or
// keys.
func Write(m *Mirror) (files []Text, notes []string, err error) {
	nodes, err := m.onNodes()
	if err != nil {
		return nil, nil, err
	}
	if common := Settle(m, Common()); serves(common) {
		files = append(files, Text{"env/mirror.env", []byte(environmentFile("Environment variables of programs that ask an index.", common))})
	}
	if all := Settle(m, DeepOps()); serves(all) {
		files = append(files,
			Text{"deepops/group_vars.yml", []byte(groupVars(all))},
			Text{"deepops/extra-vars.yml", []byte(extraVars(all))},
			Text{"deepops/environment.sh", []byte(environmentFile("Environment of DeepOps' scripts/setup.sh and of the scripts below scripts/k8s.\n# Names of "+DeepOpsRelease+".", all))})
	}
	if kube := Settle(m, kubespray()); serves(kube) {
		files = append(files, Text{"kubespray/mirror.yml", []byte("# Kubespray, from everything that this mirror holds: inventory/<site>/group_vars/all/offline.yml.\n" +
			"# Names of Kubespray v2.31.0.\n---\n" + yamlSettings(kube, GroupVars))})
	}
	files = append(files, role(m, nodes)...)
	files = append(files, gpuOperator(m, nodes)...)
	return files, m.notes, nil
}

// serves reports whether the mirror has anything of a table.
func serves(all []Setting) bool {
	return slices.ContainsFunc(all, func(s Setting) bool { return s.State == Served })
}

// summary counts the settings of a file.
func summary(all []Setting, where ...Where) string {
	var n [Served + 1]int
	total := 0
	for _, s := range all {
		for _, w := range where {
			if s.Where == w {
				n[s.State]++
				total++
			}
		}
	}
	return fmt.Sprintf("# %s: %d served, %d by their public names alone, %d not in this mirror.\n", bundle.Count(total, "name"), n[Served], n[Answered], n[Missing])
}

func groupVars(all []Setting) string {
	var b strings.Builder
	b.WriteString("# Variables that point DeepOps at this mirror. Names of " + DeepOpsRelease + ".\n" +
		"# In DeepOps' folder config/group_vars, where a folder all takes the place of the file all.yml:\n" +
		"#   mkdir all && mv all.yml all/deepops.yml && cp THIS all/mirror.yml\n" +
		"# What roles and more special groups set themselves is in extra-vars.yml.\n" +
		summary(all, GroupVars) + "---\n")
	b.WriteString(yamlSettings(all, GroupVars))
	b.WriteString("\n# Addresses that are written into DeepOps and have no variable: " + strings.TrimPrefix(summary(all, Written), "# "))
	b.WriteString("# Their names lead to the mirror by gapbundle clients MIRROR --for hosts.\n")
	for i := range all {
		if s := &all[i]; s.Where == Written {
			fmt.Fprintf(&b, "# %s: %s (%s)\n", s.State, oneLine(strings.Join(s.Public, ", ")), oneLine(s.By))
			if s.State == Missing {
				writeBring(&b, &s.Variable)
			}
		}
	}
	return b.String()
}

func extraVars(all []Setting) string {
	return "# Variables that only the command line sets, because a role or a group sets them itself:\n" +
		"#   ansible-playbook -e @extra-vars.yml ...\n# Names of " + DeepOpsRelease + ".\n" +
		summary(all, ExtraVars) + "---\n" + yamlSettings(all, ExtraVars)
}

// yamlSettings writes the settings of one file; each is preceded by what it is.
func yamlSettings(all []Setting, where Where) string {
	var b strings.Builder
	for i := range all {
		s := &all[i]
		if s.Where != where {
			continue
		}
		b.WriteString("\n")
		s.comment(&b)
		switch s.State {
		case Served:
			if s.Other != "" && s.With != "" {
				fmt.Fprintf(&b, "%s: %s\n", s.With, ansibleText(s.Other))
			}
			if _, off := s.Value.(unset); off {
				b.WriteString("# ")
			}
			fmt.Fprintf(&b, "%s:%s\n", s.Name, yamlValue(s.Value))
		case Answered:
			fmt.Fprintf(&b, "# %s: %s\n", s.Name, yamlText(s.Public[0]))
		case Missing:
			fmt.Fprintf(&b, "# %s:\n", s.Name)
		}
	}
	if b.Len() == 0 {
		return "{}\n"
	}
	return b.String()
}

// comment reports what a setting is and where it comes from.
func (s *Setting) comment(b *strings.Builder) {
	from := strings.Join(s.From, ", ")
	if from == "" {
		from = s.Remark
	}
	if from == "" && s.State != Served {
		from = strings.Join(s.Public, ", ")
	}
	fmt.Fprintf(b, "# %s", s.State)
	if s.State == Answered {
		b.WriteString(" alone")
	}
	if from != "" {
		b.WriteString(": " + oneLine(from))
	}
	fmt.Fprintf(b, " (%s)\n", oneLine(s.By))
	if s.Note != "" {
		b.WriteString("# " + oneLine(s.Note) + "\n")
	}
	if s.Other != "" {
		b.WriteString("# version " + oneLine(s.Other) + ", where the project's own is " + s.Vary + "\n")
	}
	if s.State == Missing {
		writeBring(b, &s.Variable)
	}
}

func writeBring(b *strings.Builder, v *Variable) {
	if spec := v.Advice(); spec != "" {
		b.WriteString("# These lines of the spec bring it:\n")
		for line := range strings.SplitSeq(spec, "\n") {
			b.WriteString("#   " + oneLine(line) + "\n")
		}
	}
}

// environmentFile returns a file for a POSIX shell.
func environmentFile(what string, all []Setting) string {
	var b strings.Builder
	b.WriteString("# " + what + "\n#   . THIS, before the program is started\n" + summary(all, Environment))
	for i := range all {
		s := &all[i]
		if s.Where != Environment {
			continue
		}
		b.WriteString("\n")
		s.comment(&b)
		switch v := s.Value.(type) {
		case shellLines:
			b.WriteString(string(v) + "\n")
		case string:
			fmt.Fprintf(&b, "export %s=%s\n", s.Name, shellText(v))
		case unset:
			fmt.Fprintf(&b, "# export %s=%s\n", s.Name, shellText(string(v)))
		default:
			fmt.Fprintf(&b, "# export %s=\n", s.Name)
		}
	}
	return b.String()
}

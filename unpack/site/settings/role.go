package settings

import (
	"bytes"
	"embed"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

//go:embed role
var roleFiles embed.FS

const (
	roleDir = "ansible/roles/gapbundle_mirror/"
	// maxRoleFiles bounds the client files in the role.
	maxRoleFiles = 2000
)

// The families of systems, as Ansible names them.
const (
	everySystem = ""
	debian      = "Debian"
	redHat      = "RedHat"
)

// placement says where a client file belongs on a node. It goes by the name of the file,
// which is that of the program.
type placement struct {
	file   *regexp.Regexp // on the path below the folder of a kind
	system string
	to     string // $1 is what the brackets of file found
}

var placements = []placement{
	{regexp.MustCompile(`^(?:[^/]+/)?([^/]+\.(?:sources|list))$`), debian, "/etc/apt/sources.list.d/$1"},
	{regexp.MustCompile(`^(?:[^/]+/){0,2}([^/]+\.repo)$`), redHat, "/etc/yum.repos.d/$1"},
	{regexp.MustCompile(`^containerd/([^/]+)/hosts\.toml$`), everySystem, "/etc/containerd/certs.d/$1/hosts.toml"},
	{regexp.MustCompile(`^podman/registries\.conf$`), everySystem, "/etc/containers/registries.conf.d/gapbundle.conf"},
	{regexp.MustCompile(`^git/gitconfig$`), everySystem, "/etc/gapbundle/gitconfig"},
}

// localKeys finds the keys that a source list names, at the place where client files expect
// them.
var localKeys = regexp.MustCompile(`/usr/share/keyrings/gapbundle-([A-Za-z0-9][A-Za-z0-9._+-]*)`)

// placed is a file on its way to a node.
type placed struct {
	system, to string
	content    []byte
}

// clientFiles are those of the kinds, the first maxRoleFiles of them.
func (m *Mirror) clientFiles(f func(name string, content []byte)) {
	n := 0
	_ = fs.WalkDir(m.Clients, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a folder that cannot be read has no file
		}
		if n++; n > maxRoleFiles {
			return fs.SkipAll
		}
		file, err := m.Clients.Open(name)
		if err != nil {
			return nil
		}
		defer file.Close()
		if content, err := bounded(file); err == nil {
			f(name, content)
		}
		return nil
	})
}

// onNodes are the files that belong on nodes, in the order of their places.
func (m *Mirror) onNodes() (all []placed) {
	names := map[string]bool{}
	m.clientFiles(func(name string, _ []byte) { names[belowKind(name)] = true })
	var aside []placed
	m.clientFiles(func(name string, content []byte) {
		rest := belowKind(name)
		if oneArchitecture(names, rest) {
			return
		}
		for _, p := range placements {
			file := placed{p.system, p.file.ReplaceAllString(rest, p.to), content}
			switch {
			case !p.file.MatchString(rest):
			case strings.HasPrefix(name, "_"):
				aside = append(aside, file)
			default:
				all = append(all, file)
			}
		}
	})
	all = append(all, aside...)
	for _, p := range slices.Clone(all) {
		if p.system != debian {
			continue
		}
		for _, k := range localKeys.FindAllSubmatch(p.content, -1) {
			content, err := m.key("keys/" + string(k[1]))
			if err == nil {
				all = append(all, placed{debian, string(k[0]), content})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int { return strings.Compare(a.system+a.to, b.system+b.to) })
	return slices.CompactFunc(all, func(a, b placed) bool { return a.system == b.system && a.to == b.to })
}

// belowKind is the path of a client file below the folder of its kind. Files of a set whose
// names another set has are aside, in a folder of the set that begins with an underscore; nodes
// get the first of a name.
func belowKind(name string) string {
	if strings.HasPrefix(name, "_") {
		parts := strings.SplitN(name, "/", 3)
		name = parts[len(parts)-1]
	}
	_, rest, _ := strings.Cut(name, "/")
	return rest
}

// oneArchitecture reports whether a source list is that of one architecture, where there is
// one for all.
func oneArchitecture(names map[string]bool, name string) bool {
	stem, file, below := strings.Cut(name, "/") // SOURCE-ARCHITECTURE/FILE, or SOURCE-ARCHITECTURE.sources
	rest := "/" + file
	if !below {
		stem, rest = strings.TrimSuffix(name, ".sources"), ".sources"
	}
	i := strings.LastIndexByte(stem, '-')
	return i > 0 && names[stem[:i]+rest] && slices.Contains([]string{"amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x"}, stem[i+1:])
}

// role returns the files of the role, where nodes have something to be told.
func role(m *Mirror) []Text {
	files := m.onNodes()
	if len(files)+len(m.pythonIndexes())+len(m.Names) == 0 {
		return nil
	}
	out := []Text{
		{"ansible/mirror.yml", roleFile("playbook.yml")},
		{roleDir + "README.md", roleFile("README.md")},
		{roleDir + "tasks/main.yml", roleFile("tasks.yml")},
		{roleDir + "templates/pip.conf.j2", roleFile("pip.conf.j2")},
		{roleDir + "defaults/main.yml", m.roleDefaults()},
		{roleDir + "vars/main.yml", m.roleVars(files)},
	}
	for _, p := range files {
		out = append(out, Text{roleDir + "files/" + p.src(), p.content})
	}
	return out
}

// src is the name of the file in the role.
func (p *placed) src() string {
	if p.system == everySystem {
		return "all" + p.to
	}
	return p.system + p.to
}

func roleFile(name string) []byte {
	content, err := roleFiles.ReadFile("role/" + name)
	if err != nil {
		panic(err) // it is compiled in
	}
	return content
}

func (m *Mirror) roleDefaults() []byte {
	return []byte("---\n" +
		"gapbundle_base: " + yamlText(m.Base) + "\n" +
		"gapbundle_host: " + yamlText(m.Host) + "\n" +
		"gapbundle_ca: \"\"\ngapbundle_address: \"\"\ngapbundle_absent: []\ngapbundle_root: \"\"\n")
}

// roleVars are what follows from the mirror.
func (m *Mirror) roleVars(files []placed) []byte {
	var b bytes.Buffer
	b.WriteString("---\n")
	list := func(name, indent string, all []string) {
		b.WriteString(indent + name + ":")
		if len(all) == 0 {
			b.WriteString(" []")
		}
		for _, s := range all {
			b.WriteString("\n" + indent + "  - " + ansibleText(s))
		}
		b.WriteString("\n")
	}
	git := slices.ContainsFunc(files, func(p placed) bool { return p.to == "/etc/gapbundle/gitconfig" })
	b.WriteString("gapbundle_git: " + map[bool]string{true: "true", false: "false"}[git] + "\n")
	list("gapbundle_indexes", "", m.pythonIndexes())
	list("gapbundle_names", "", m.Names)
	b.WriteString("gapbundle_authorities:\n" +
		"  Debian: {file: /usr/local/share/ca-certificates/gapbundle-site.crt, command: [update-ca-certificates]}\n" +
		"  RedHat: {file: /etc/pki/ca-trust/source/anchors/gapbundle-site.pem, command: [update-ca-trust]}\n")
	list("gapbundle_folders_all", "", append(foldersOf(files, everySystem), "/etc"))
	b.WriteString("gapbundle_folders_family:\n")
	list(debian, "  ", append(foldersOf(files, debian), "/usr/local/share/ca-certificates"))
	list(redHat, "  ", append(foldersOf(files, redHat), "/etc/pki/ca-trust/source/anchors"))
	entries := func(name, indent, system string) {
		b.WriteString(indent + name + ":")
		any := false
		for _, p := range files {
			if p.system == system {
				any = true
				b.WriteString("\n" + indent + "  - {src: " + ansibleText(p.src()) + ", dest: " + ansibleText(p.to) + "}")
			}
		}
		if !any {
			b.WriteString(" []")
		}
		b.WriteString("\n")
	}
	entries("gapbundle_files_all", "", everySystem)
	b.WriteString("gapbundle_files_family:\n")
	entries(debian, "  ", debian)
	entries(redHat, "  ", redHat)
	return b.Bytes()
}

// foldersOf are the folders of the files of one family.
func foldersOf(files []placed, system string) (all []string) {
	for _, p := range files {
		if dir := path.Dir(p.to); p.system == system && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}

package settings

import (
	"bytes"
	"embed"
	"errors"
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
	// maxRoleFiles bounds the client files in the role. More of them are told of, not only
	// left out.
	maxRoleFiles = 20_000
)

// The families of systems, as Ansible names them.
const (
	everySystem = ""
	debian      = "Debian"
	redHat      = "RedHat"
)

// placement states where a client file belongs on a node. It goes by the name of the file,
// which is that of the program.
type placement struct {
	file   *regexp.Regexp // on the path below the folder of a kind
	system string
	to     string // $1 is what the brackets of file found
	// second is the place of a file when another set has one of its name with other content: the program
	// reads both. SET is the name of the set. Empty: the program reads one file of a name.
	second string
}

var placements = []placement{
	{regexp.MustCompile(`^(?:[^/]+/)?([^/]+\.(?:sources|list))$`), debian, "/etc/apt/sources.list.d/$1", "/etc/apt/sources.list.d/gapbundle-SET-$1"},
	{regexp.MustCompile(`^(?:[^/]+/){0,2}([^/]+\.repo)$`), redHat, "/etc/yum.repos.d/$1", "/etc/yum.repos.d/gapbundle-SET-$1"},
	{regexp.MustCompile(`^containerd/([^/]+)/hosts\.toml$`), everySystem, "/etc/containerd/certs.d/$1/hosts.toml", ""},
	{regexp.MustCompile(`^podman/registries\.conf$`), everySystem, "/etc/containers/registries.conf.d/gapbundle.conf", "/etc/containers/registries.conf.d/gapbundle-SET.conf"},
	{regexp.MustCompile(`^git/gitconfig$`), everySystem, gitSettings, gitSettings + "-SET"},
}

// gitSettings is the place of git's settings, which /etc/gitconfig includes.
const gitSettings = "/etc/gapbundle/gitconfig"

// localKeys finds the keys that a source list names, at the place where client files expect
// them.
var localKeys = regexp.MustCompile(`/usr/share/keyrings/gapbundle-([A-Za-z0-9][A-Za-z0-9._+-]*)`)

// placed is a file on its way to a node.
type placed struct {
	system, to string
	content    []byte
}

// client is a client file that belongs on nodes.
type client struct {
	name string // below Mirror.Clients
	set  string // whose file it is, if it is aside because another set has one of that name
	rest string // the path below the folder of its kind
	placement
}

// readClients finds the client files that belong on nodes: those that have their own path
// before those that are aside.
func (m *Mirror) readClients() error {
	var own, aside []client
	err := fs.WalkDir(m.Clients, ".", func(name string, d fs.DirEntry, err error) error {
		if name == "." && errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll // no source has client files
		}
		if err != nil || d.IsDir() {
			return err
		}
		c := client{name: name}
		if strings.HasPrefix(name, "_") { // _sets/SET/KIND/FILE: no kind has a name that begins so
			parts := strings.SplitN(name, "/", 3)
			if len(parts) < 3 {
				return nil
			}
			c.set, name = parts[1], parts[2]
		}
		_, c.rest, _ = strings.Cut(name, "/")
		for _, p := range placements {
			if !p.file.MatchString(c.rest) {
				continue
			}
			c.placement = p
			if c.set == "" {
				own = append(own, c)
			} else {
				aside = append(aside, c)
			}
		}
		return nil
	})
	m.clients = append(own, aside...)
	return err
}

// place returns where a client file goes: its own place, or its second one.
func (c *client) place(second bool) string {
	if !second {
		return c.file.ReplaceAllString(c.rest, c.to)
	}
	return strings.Replace(c.file.ReplaceAllString(c.rest, c.second), "SET", c.set, 1)
}

// onNodes returns the files that belong on nodes, in the order of their places.
func (m *Mirror) onNodes() (all []placed, err error) {
	names := map[string]bool{}
	for _, c := range m.clients {
		names[c.rest] = true
	}
	at := map[string][]byte{}
	for i := range m.clients {
		c := &m.clients[i]
		if oneArchitecture(names, c.rest) {
			continue
		}
		if len(all) == maxRoleFiles {
			m.note("the role for Ansible has %d client files, and no more of them", maxRoleFiles)
			break
		}
		content, err := m.client(c.name)
		if errors.Is(err, errTooLong) {
			m.note("/%s/%s is not in the role for Ansible: %v", m.ClientsAt, c.name, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		to := c.place(false)
		if first, taken := at[to]; taken {
			if bytes.Equal(first, content) {
				continue
			}
			if c.second == "" || c.set == "" {
				m.note("/%s/%s is not in the role for Ansible: %s has one place on a node, and another file is there", m.ClientsAt, c.name, to)
				continue
			}
			to = c.place(true)
		}
		at[to] = content
		all = append(all, placed{c.system, to, content})
	}
	if all, err = m.withLocalKeys(all); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b placed) int { return strings.Compare(a.system+a.to, b.system+b.to) })
	return slices.CompactFunc(all, func(a, b placed) bool { return a.system == b.system && a.to == b.to }), nil
}

// withLocalKeys adds the files of keys that source lists name.
func (m *Mirror) withLocalKeys(all []placed) ([]placed, error) {
	for _, p := range slices.Clone(all) {
		if p.system != debian {
			continue
		}
		for _, k := range localKeys.FindAllSubmatch(p.content, -1) {
			content, err := m.key("keys/" + string(k[1]))
			switch {
			case err == nil:
				all = append(all, placed{debian, string(k[0]), content})
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, errTooLong):
				m.note("%s names %s, which is not in the role for Ansible: /keys/%s: %v", p.to, k[0], k[1], err)
			default:
				return nil, err
			}
		}
	}
	return all, nil
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

// role returns the files of the role, where nodes have something to set.
func role(m *Mirror, files []placed) []Text {
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

// src returns the name of the file in the role.
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
		"gapbundle_ca: \"\"\ngapbundle_address: \"\"\ngapbundle_absent: []\ngapbundle_deepops: false\ngapbundle_root: \"\"\n")
}

// roleVars returns what follows from the mirror.
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
	var git []string
	for _, p := range files {
		if strings.HasPrefix(p.to, gitSettings) {
			git = append(git, p.to)
		}
	}
	list("gapbundle_git", "", git)
	list("gapbundle_indexes", "", m.pythonIndexes())
	list("gapbundle_names", "", m.Names)
	list("gapbundle_deepops_lists", "", m.listedByRoles(files))
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

// listedByRoles returns the places of the source lists whose repositories roles of DeepOps list
// themselves.
func (m *Mirror) listedByRoles(files []placed) (all []string) {
	for _, s := range Settle(m, DeepOps()) {
		address, ok := s.Value.(string)
		if !ok || !s.Lists {
			continue
		}
		// The address of the mirror may be filled in already: what follows it is compared.
		below := strings.TrimPrefix(address, m.Base) + "/"
		for _, f := range files {
			named := slices.ContainsFunc(strings.Fields(string(f.content)), func(word string) bool {
				return strings.Contains(strings.TrimSuffix(word, "/")+"/", below)
			})
			if f.system == debian && named && !slices.Contains(all, f.to) {
				all = append(all, f.to)
			}
		}
	}
	return all
}

// foldersOf returns the folders of the files of one family.
func foldersOf(files []placed, system string) (all []string) {
	for _, p := range files {
		if dir := path.Dir(p.to); p.system == system && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}

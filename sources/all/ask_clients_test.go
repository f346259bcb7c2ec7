//go:build clients

package all

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gapbundle/gapbundle/internal/test/imagetest"
	"github.com/gapbundle/gapbundle/internal/test/webtest"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
)

// client is one client of a site on one machine inside.
type client struct {
	*place
	t    *testing.T
	own  bool // it asks the mirror by its own name, and otherwise by public names
	home string
}

// at returns the address by which the client asks for what is at a public address.
func (c *client) at(url string) string {
	c.t.Helper()
	if !c.own {
		return strings.Replace(url, "http://", "https://", 1)
	}
	_, at, ok := c.public.LookupURL(url)
	if !ok {
		c.t.Fatalf("%s: the mirror has nothing that stands for it", url)
	}
	return "https://" + webtest.OwnName + at
}

// command returns a program with a home of its own.
func (c *client) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), name, args...)
	cmd.Dir = c.home
	cmd.Env = append(piptest.Clean(c.home), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "NO_PROXY=*", "SSL_CERT_FILE="+c.CA, "REQUESTS_CA_BUNDLE="+c.CA, "PIP_CERT="+c.CA, "ANSIBLE_NOCOLOR=1", "GIT_CONFIG_NOSYSTEM=1")
	return cmd
}

// run runs a program, which has to succeed, and returns what it printed.
func (c *client) run(name string, args ...string) string {
	c.t.Helper()
	out, err := c.command(name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// file fails the test if a file below the client's home has other content, or is not there.
func (c *client) file(name, want string) {
	c.t.Helper()
	if got, err := os.ReadFile(filepath.Join(c.home, name)); err != nil || strings.TrimSpace(string(got)) != want {
		c.t.Errorf("%s: %q, %v; want %q", name, got, err, want)
	}
}

func (c *client) write(name, content string) string {
	c.t.Helper()
	file := filepath.Join(c.home, name)
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(content), 0o644)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return file
}

// copyNode copies a folder that the role has filled.
func (c *client) copyNode(node, dir string) {
	c.t.Helper()
	if err := os.CopyFS(filepath.Join(c.home, dir), os.DirFS(filepath.Join(node, dir))); err != nil {
		c.t.Fatal(err)
	}
}

func askFiles(c *client) {
	url := c.at(fmt.Sprintf(slurmURL, last))
	if got := c.run("curl", "-fsSL", url); got != "content of "+fmt.Sprintf(slurmURL, last) {
		c.t.Errorf("%s: %q", url, got)
	}
	if got := c.run("curl", "-fsSL", c.at(notesURL)); got != "content of "+notesURL {
		c.t.Errorf("%s: %q", notesURL, got)
	}
	before := strings.Replace(url, fmt.Sprintf("05.%d.", last), "05.9.", 1)
	if out, err := c.command("curl", "-fsS", before).CombinedOutput(); err == nil || !strings.Contains(string(out), "404") {
		c.t.Errorf("what is not there: %v %s", err, out)
	}
}

// apt returns the options with which apt has a system of its own in the client's home.
func (c *client) apt() (options []string) {
	c.t.Helper()
	for _, dir := range []string{"var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log/apt", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d"} {
		if err := os.MkdirAll(filepath.Join(c.home, dir), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	c.write("var/lib/dpkg/status", "")
	for _, o := range []string{
		"Dir=" + c.home, "Dir::State::status=" + c.home + "/var/lib/dpkg/status", "DPkg::Options::=--root=" + c.home, "DPkg::Options::=--force-confold", "DPkg::Pre-Install-Pkgs::=",
		"APT::Architecture=amd64", "APT::Sandbox::User=root", "Acquire::Languages=none", "APT::Update::Error-Mode=any", "Dpkg::Use-Pty=0",
	} {
		options = append(options, "-o", o)
	}
	return options
}

// askAPT installs a package of each repository: the source lists are those that the mirror
// publishes, and by public names those of vendors' own instructions.
func askAPT(c *client) {
	options := c.apt()
	if c.own {
		c.copyNode(c.Node, "etc/apt/sources.list.d")
	} else {
		key := filepath.Join(c.home, "key.asc")
		c.run("curl", "-fsSL", "-o", key, c.at(toolkitKey))
		docker := filepath.Join(c.home, "docker.asc")
		c.run("curl", "-fsSL", "-o", docker, c.at(dockerURL+"/gpg"))
		c.write("etc/apt/sources.list", "deb [signed-by="+key+"] "+c.at(toolkitURL)+" /\ndeb [signed-by="+key+"] "+c.at(ubuntuURL)+" noble main\n"+
			"deb [signed-by="+docker+"] "+c.at(dockerURL)+" noble stable\ndeb [signed-by="+key+"] "+c.at(cudaURL)+" /\n")
	}
	c.run("apt-get", append(options, "update")...)
	c.run("apt-get", append(options, "install", "--yes", "git", "docker-ce", "nvidia-container-toolkit", "cuda-toolkit")...)
	for name, version := range map[string]string{"git": "1:%d.0~rc1+b1", "docker-ce": "5:%d.0", "nvidia-container-toolkit": "%d.0", "cuda-toolkit": "%d.0"} {
		c.file("usr/share/doc/"+name+"/version", fmt.Sprintf(version, last))
	}
}

// askDriverContainer installs a package with the source lists alone that the ConfigMap for the GPU
// Operator has, as its driver containers do: they have no files of keys.
func askDriverContainer(c *client) {
	text, err := os.ReadFile(c.Operator)
	if err != nil {
		c.t.Fatal(err)
	}
	type configMap struct {
		Kind     string
		Metadata struct{ Name string }
		Data     map[string]string
	}
	var lists configMap
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); lists.Metadata.Name != "gapbundle-repo-debian"; {
		lists = configMap{}
		if err := decoder.Decode(&lists); err != nil {
			c.t.Fatalf("%v\n%s", err, text)
		}
	}
	options := c.apt()
	for name, content := range lists.Data {
		if strings.Contains(content, "/usr/share/keyrings") || lists.Kind != "ConfigMap" {
			c.t.Errorf("%s has no keys in it:\n%s", name, content)
		}
		c.write("etc/apt/sources.list.d/"+name, content)
	}
	c.run("apt-get", append(options, "update")...)
	c.run("apt-get", append(options, "install", "--yes", "cuda-toolkit")...)
	c.file("usr/share/doc/cuda-toolkit/version", fmt.Sprintf("%d.0", last))
}

func askDNF(c *client) {
	if c.own {
		c.copyNode(c.Node, "etc/yum.repos.d")
	} else {
		c.write("etc/yum.repos.d/epel.repo", "[epel]\nname=epel\nbaseurl="+epelURL+"\nrepo_gpgcheck=1\ngpgcheck=0\ngpgkey="+epelKey+"\n")
	}
	for _, dir := range []string{"log", "cache", "persist", "vars", "var/lib/rpm"} {
		if err := os.MkdirAll(filepath.Join(c.home, dir), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	conf := c.write("dnf.conf", "[main]\nproxy=\nretries=1\ninstall_weak_deps=False\n")
	c.run("dnf", "-c", conf, "--installroot", c.home, "--releasever", "9", "--forcearch", "x86_64", "-y", "--setopt=reposdir="+c.home+"/etc/yum.repos.d", "--setopt=cachedir="+c.home+"/cache",
		"--setopt=persistdir="+c.home+"/persist", "--setopt=logdir="+c.home+"/log", "--setopt=varsdir="+c.home+"/vars", "--setopt=sslcacert="+c.CA, "install", "rpm-tool")
	c.file("usr/share/rpm-tool/version", fmt.Sprint(last))
}

// askDebootstrap sets a system of noble up, in which its own dpkg and apt then run. The script is
// the one that all releases of Ubuntu share; Debian 12's debootstrap has no link to it for noble.
// What it mounts is gone with the namespace of the program.
func askDebootstrap(c *client) {
	keyring := filepath.Join(c.home, "site.gpg")
	c.run("gpg", "--dearmor", "--output", keyring, filepath.Join("/usr/share/keyrings", c.siteKey()))
	system := filepath.Join(c.home, "system")
	c.t.Cleanup(func() {
		if log, err := os.ReadFile(system + "/debootstrap/debootstrap.log"); err == nil && c.t.Failed() {
			c.t.Logf("debootstrap.log:\n%s", log)
		}
	})
	c.run("unshare", "--mount", "debootstrap", "--variant=minbase", "--arch=amd64", "--keyring="+keyring, "noble", system, c.at(ubuntuURL), "/usr/share/debootstrap/scripts/gutsy")
	version := fmt.Sprint(last, ".0")
	for _, name := range []string{"apt", "base-files", "ca-certificates", "dpkg", "libc6"} {
		if got := c.run("chroot", system, "dpkg-query", "--show", "--showformat=${Version} ${db:Status-Status}", name); got != version+" installed" {
			c.t.Errorf("%s in the new system: %s, want %s installed", name, got, version)
		}
	}
	if out := c.run("chroot", system, "dpkg", "--audit"); out != "" {
		c.t.Errorf("the new system is not whole: %s", out)
	}
	c.run("chroot", system, "apt-get", "--version")
}

// siteKey returns the name of the file with the key of the site.
func (c *client) siteKey() string {
	found, err := filepath.Glob("/usr/share/keyrings/*site.asc")
	if err != nil || len(found) != 1 {
		c.t.Fatalf("keys of the site: %q, %v", found, err)
	}
	return filepath.Base(found[0])
}

// pull pulls every image by its public name.
func (c *client) pull(with imagetest.Client, config string) {
	for _, i := range c.Images {
		got, err := with.Pull(c.t.Context(), imagetest.Pull{Name: i.Name, Reference: i.Tag, Platform: "linux/amd64", Config: config})
		if err != nil || !slices.Contains(got, i.Digest.String()) {
			c.t.Errorf("%s:%s: %v, %v; want %s", i.Name, i.Tag, got, err, i.Digest)
		}
	}
}

func askContainerd(c *client) {
	config := filepath.Join(c.Node, "etc/containerd/certs.d")
	if !c.own {
		config = c.t.TempDir()
	}
	c.pull(imagetest.Containerd(c.t), config)
}

func askPodman(c *client) {
	config := filepath.Join(c.Node, "etc/containers/registries.conf.d/gapbundle.conf")
	if !c.own {
		config = c.write("registries.conf", "unqualified-search-registries = []\n")
	}
	c.pull(imagetest.Podman(c.t), config)
}

// askSkopeo copies images without changing a byte.
func askSkopeo(c *client) {
	for _, i := range c.Images {
		ref := "docker://" + i.Name + ":" + i.Tag
		if c.own {
			ref = "docker://" + webtest.OwnName + "/" + i.Name + ":" + i.Tag
		}
		if got := strings.TrimSpace(c.run("skopeo", "inspect", "--override-arch", "amd64", "--format", "{{.Digest}}", ref)); got != i.Digest.String() {
			c.t.Errorf("%s: digest %s, want %s", ref, got, i.Digest)
		}
		c.run("skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", ref, "dir:"+c.t.TempDir())
	}
}

func askHelm(c *client) {
	c.run("helm", "repo", "add", "nvidia", c.at(chartsURL))
	out := c.run("helm", "template", "operator", "nvidia/gpu-operator", "--version", fmt.Sprint("v26.3.", last+1))
	if !strings.Contains(out, "image: \"nvcr.io/nvidia/gpu-operator:v26.3.3\"") && !strings.Contains(out, "nvcr.io/nvidia/gpu-operator:v26.3.3") {
		c.t.Errorf("rendered:\n%s", out)
	}
}

const installed = "demo_tool-1.%d.dist-info/INSTALLER"

func askPip(c *client) {
	c.run(piptest.Python(c.t, "pip-"+piptest.NewestPip), "-m", "pip", "install", "--target", "site", "--index-url", c.at(indexURL)+"/", "demo-tool")
	c.file("site/"+fmt.Sprintf(installed, last), "pip")
	// What is pinned is at the address of its host, too.
	requirements := c.write("requirements.txt", "demo-tool @ "+c.at(fmt.Sprintf(wheelURL, last))+"#sha256="+c.Wheel+"\n")
	c.run(piptest.Python(c.t, "pip-"+piptest.NewestPip), "-m", "pip", "install", "--target", "direct", "--no-index", "-r", requirements)
	c.file("direct/"+fmt.Sprintf(installed, last), "pip")
}

func askUV(c *client) {
	c.run(piptest.Program(c.t, "uv", "uv"), "pip", "install", "--python", "/usr/bin/python3", "--target", "site", "--index-url", c.at(indexURL)+"/", "demo-tool")
	c.file("site/"+fmt.Sprintf(installed, last), "uv")
	if c.own {
		return // a lock has public addresses
	}
	c.write("pyproject.toml", "[project]\nname = \"app\"\nversion = \"0.1\"\nrequires-python = \">=3.11\"\ndependencies = [\"demo-tool\"]\n")
	c.write("uv.lock", fmt.Sprintf("version = 1\nrequires-python = \">=3.11\"\n\n[[package]]\nname = \"app\"\nversion = \"0.1\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"demo-tool\" }]\n\n"+
		"[package.metadata]\nrequires-dist = [{ name = \"demo-tool\" }]\n\n[[package]]\nname = \"demo-tool\"\nversion = \"1.%d\"\nsource = { registry = %q }\nwheels = [{ url = %q, hash = \"sha256:%s\" }]\n",
		last, indexURL, fmt.Sprintf(wheelURL, last), c.Wheel))
	c.run(piptest.Program(c.t, "uv", "uv"), "sync", "--frozen", "--no-cache", "--python", "/usr/bin/python3")
	if found, _ := filepath.Glob(filepath.Join(c.home, ".venv/lib/python3*/site-packages", fmt.Sprintf(installed, last))); len(found) != 1 {
		c.t.Errorf("installed from the lock: %q", found)
	}
}

func askStreams(c *client) {
	c.run(piptest.Program(c.t, "simplestreams", "sstream-mirror"), "--no-verify", "--max", "1", c.at(streamsURL), "images")
	c.file(fmt.Sprintf("images/noble/2026100%d/boot-kernel", last), fmt.Sprint("a kernel of month ", last))
}

// askGit clones DeepOps with its submodule. By the mirror's own name git has the settings that
// the mirror publishes, which rewrite the addresses.
func askGit(c *client) {
	clone := func(url, dir string) {
		cmd := c.command("git", "clone", "--quiet", "--recurse-submodules", url, dir)
		if c.own {
			cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL="+filepath.Join(c.Node, "etc/gapbundle/gitconfig"))
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			c.t.Fatalf("%s: %v\n%s", url, err, out)
		}
		if got := strings.TrimSpace(c.run("git", "-C", dir, "rev-parse", "HEAD")); got != c.Commit {
			c.t.Errorf("%s: commit %s, want %s", url, got, c.Commit)
		}
		c.file(dir+"/submodules/kubespray/cluster.yml", "- hosts: all")
	}
	clone(deepopsURL, "one")
	clone(strings.TrimSuffix(deepopsURL, ".git"), "two")
}

func askGalaxy(c *client) {
	program := ansible(c.t, "ansible-galaxy")
	server := []string{}
	if c.own {
		server = []string{"--server", c.at(galaxyURL+"/api") + "/"}
	}
	c.run(program, append([]string{"collection", "install", "-p", "collections", "community.general"}, server...)...)
	if text, err := os.ReadFile(filepath.Join(c.home, "collections/ansible_collections/community/general/MANIFEST.json")); err != nil || !strings.Contains(string(text), fmt.Sprintf(`"12.%d.0"`, last)) {
		c.t.Errorf("%v\n%s", err, text)
	}
	c.run(program, append([]string{"role", "install", "-p", "roles", "geerlingguy.ntp,4.0.0"}, server...)...)
	if _, err := os.Stat(filepath.Join(c.home, "roles/geerlingguy.ntp/tasks/main.yml")); err != nil {
		c.t.Error(err)
	}
}

// askPlaybook has Ansible do what DeepOps' roles and scripts do with the variables and the
// environment that the mirror prints.
func askPlaybook(c *client) {
	options := c.apt()
	c.copyNode(c.DeepOps, "etc/apt/sources.list.d")
	var config strings.Builder
	for i := 1; i < len(options); i += 2 {
		name, value, _ := strings.Cut(options[i], "=")
		fmt.Fprintf(&config, "%s %q;\n", name, value)
	}
	book, err := filepath.Abs("testdata/deepops.yml")
	if err != nil {
		c.t.Fatal(err)
	}
	c.run("sh", "-euc", `. "$1/environment.sh"; shift; exec "$@"`, "sh", c.Settings, ansible(c.t, "ansible-playbook"), "-i", "localhost,", "-c", "local", book,
		"-e", "@"+c.Settings+"/extra-vars.yml", "-e", "ansible_python_interpreter=/usr/bin/python3", "-e", "settings="+c.Settings, "-e", "home="+c.home, "-e", "apt_config="+c.write("apt.conf", config.String()),
		"-e", "pip="+piptest.Program(c.t, "pip-"+piptest.NewestPip, "pip"), "-e", "galaxy="+ansible(c.t, "ansible-galaxy"), "-e", fmt.Sprint("month=", last))
	for name, want := range map[string]string{
		"slurm.tar.bz2": "content of " + fmt.Sprintf(slurmURL, last), "kubelet": "content of " + kubeletURL, "usr/share/doc/docker-ce/version": fmt.Sprintf("5:%d.0", last),
		"usr/share/doc/nvidia-container-toolkit/version": fmt.Sprintf("%d.0", last), "usr/share/doc/cuda-toolkit/version": fmt.Sprintf("%d.0", last), "site/" + fmt.Sprintf(installed, last): "pip",
		"deepops/submodules/kubespray/cluster.yml": "- hosts: all",
	} {
		c.file(name, want)
	}
	c.pull(imagetest.Containerd(c.t), filepath.Join(c.home, "certs.d"))
}

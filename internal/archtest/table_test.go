package archtest

// row is one package of ours.
type row struct {
	imports []string // what it may import of ours
	tests   []string // what its tests may import besides, and besides test packages
	all     bool     // it may import everything but test packages: the program alone
	within  string   // only packages at or below this folder may import it, the program included
	test    bool     // it is for tests, and only they and its like may import it; in its own tests both sides meet
}

// table has a row for every package of the module, tests and tools included. A
// package without a row, a row without a package, and an edge that is in no
// row are failures: who wants a new edge writes it here and its reason into
// docs/design.md. A row has three lines, so that a new one moves no other.
func table() map[string]row {
	return map[string]row{
		"cmd/gapbundle": {
			all: true,
		},
		"cmd/gapbundle-inside": {
			imports: []string{"cmd/internal/command"},
		},
		"cmd/internal/command": {
			imports: []string{"bundle", "bundle/contents", "bundle/reach", "bundle/tidy", "internal/fetch", "internal/pubkeys", "internal/push", "internal/registry", "internal/serve", "internal/spelling", "unpack", "unpack/site", "verify"},
		},

		// The pipeline: sources -> bundle => (media) => verify -> unpack.
		"sources": {
			imports: []string{"bundle", "internal/fetch", "bundle/durable", "internal/strictyaml"},
		},
		"sources/all": {
			imports: []string{"sources", "sources/apt", "sources/files", "sources/galaxy", "sources/git", "sources/helm", "sources/kubespray", "sources/oci", "sources/pypi", "sources/rpm", "sources/simplestreams"}, tests: []string{"sources/config", "unpack/site"},
		},
		"sources/collect": {
			imports: []string{"internal/spelling", "bundle", "bundle/media", "sources", "internal/fetch", "internal/strictyaml"},
		},
		// The rooms that kinds share.
		"sources/upstream": {
			imports: []string{"bundle", "sources", "internal/decompress", "internal/fetch"},
		},
		"sources/keyring": {
			imports: []string{"bundle", "sources", "internal/fetch", "internal/pgpkeys", "internal/pubkeys", "internal/strictyaml"},
		},
		"sources/stock": {
			imports: []string{"bundle", "sources", "sources/upstream", "internal/fetch"},
		},
		"sources/replay": {
			imports: []string{"bundle", "sources", "sources/stock", "sources/upstream", "internal/fetch"},
		},
		"sources/rebuild": {
			imports: []string{"bundle", "sources", "sources/stock", "internal/fetch", "internal/strictyaml"},
		},
		"sources/complete": {
			imports: []string{"bundle", "sources", "sources/upstream", "internal/decompress"},
		},
		"sources/closure": {
			imports: []string{"bundle"},
		},

		// The kinds.
		"sources/files": {
			imports: []string{"bundle", "sources", "sources/keyring", "sources/upstream", "internal/fetch", "internal/pgpkeys", "internal/strictyaml"}, tests: []string{"internal/decompress", "sources/collect"},
		},
		"sources/apt": {
			imports: []string{"bundle", "sources", "sources/upstream", "sources/keyring", "sources/stock", "sources/replay", "sources/rebuild", "sources/complete", "sources/closure", "sources/apt/deb", "sources/apt/closure", "sources/apt/reindex", "internal/fetch", "internal/pgpkeys", "internal/strictyaml"}, tests: []string{"sources/collect", "sources/export"},
		},
		"sources/apt/deb": {
			imports: []string{"bundle"},
		},
		"sources/apt/closure": {
			imports: []string{"bundle", "sources/apt/deb", "sources/closure"},
		},
		"sources/apt/reindex": {
			imports: []string{"bundle", "internal/pgpkeys", "sources/apt/deb"}, tests: []string{"sources/keys"},
		},
		"sources/git": {
			imports: []string{"bundle", "sources", "sources/complete", "sources/replay", "sources/upstream", "sources/git/gitfile", "sources/git/gitrepo", "sources/git/gitrun", "sources/git/gitsig", "sources/git/lfs", "sources/git/relay", "internal/fetch", "internal/pgpkeys", "internal/strictyaml", "sources/rebuild"},
			tests:   []string{"sources/collect", "unpack"},
		},
		"sources/git/gitfile": {
			imports: []string{"bundle"},
		},
		"sources/git/gitrun": {},
		"sources/git/relay": {
			imports: []string{"internal/fetch"},
		},
		"sources/git/gitrepo": {
			imports: []string{"bundle", "sources/git/gitfile", "sources/git/gitrun", "sources/git/relay"}, tests: []string{"internal/fetch"},
		},
		"sources/git/gitsig": {
			imports: []string{"bundle", "internal/fetch", "internal/pgpkeys", "internal/pubkeys"},
		},
		"sources/git/lfs": {
			imports: []string{"bundle", "internal/fetch", "sources/git/gitfile"},
		},
		"sources/kubespray": {
			imports: []string{"bundle", "sources", "sources/complete", "sources/kubespray/checksums", "internal/fetch", "internal/strictyaml", "sources/rebuild"}, tests: []string{"sources/collect", "sources/files", "sources/helm", "sources/helm/helmtest", "sources/oci"},
		},
		"sources/kubespray/checksums": {
			imports: []string{"bundle"},
		},
		"sources/oci/local": {
			imports: []string{"bundle", "internal/decompress", "internal/fetch", "internal/registry"},
		},
		"sources/oci": {
			imports: []string{"bundle", "sources", "sources/complete", "sources/oci/local", "sources/upstream", "internal/fetch", "internal/registry", "internal/strictyaml", "sources/rebuild"}, tests: []string{"sources/collect", "sources/config", "sources/export", "sources/keys"},
		},
		"sources/rpm/rpmmd": {
			imports: []string{"bundle"},
		},
		"sources/rpm": {
			imports: []string{"bundle", "sources", "sources/upstream", "sources/keyring", "sources/stock", "sources/replay", "sources/rebuild", "sources/complete", "sources/rpm/rpmmd", "sources/rpm/closure", "sources/rpm/modulemd", "sources/rpm/reindex", "sources/rpm/rpmsig", "internal/fetch", "internal/pgpkeys", "internal/strictyaml"}, tests: []string{"sources/collect", "sources/export"},
		},
		"sources/rpm/closure": {
			imports: []string{"bundle", "sources/closure", "sources/rpm/rpmmd"}, tests: []string{"sources/rpm/rpmtest"},
		},
		"sources/rpm/modulemd": {
			imports: []string{"bundle", "internal/foreignyaml"}, tests: []string{"sources/rpm/rpmtest"},
		},
		"sources/rpm/reindex": {
			imports: []string{"bundle", "sources/rebuild", "sources/stock", "sources/rpm/rpmmd", "internal/pgpkeys"},
		},
		"sources/rpm/rpmsig": {
			imports: []string{"internal/spelling", "internal/pgpkeys"},
		},
		"sources/helm":        {imports: []string{"bundle", "sources", "sources/complete", "sources/helm/child", "sources/helm/images", "sources/helm/index", "sources/helm/pack", "sources/keyring", "sources/rebuild", "sources/replay", "sources/upstream", "internal/fetch", "internal/pgpkeys", "internal/registry", "internal/strictyaml"}, tests: []string{"sources/collect", "sources/export", "sources/keys", "sources/oci"}},
		"sources/helm/index":  {imports: []string{"bundle", "sources/helm/pack"}},
		"sources/helm/pack":   {imports: []string{"bundle"}},
		"sources/helm/images": {},
		"sources/helm/child": {
			imports: []string{"sources/helm/images"},
		},
		"sources/helm/render": {
			imports: []string{"sources/helm/child", "sources/helm/images"},
		},
		"bundle": {
			imports: []string{"internal/spelling"},
		},
		"bundle/contents": {
			imports: []string{"bundle"},
		},
		"bundle/media": {
			imports: []string{"bundle"},
		},
		"bundle/certs": {
			imports: []string{"internal/spelling"},
		},
		"bundle/reach": {
			imports: []string{"bundle", "bundle/certs"},
		},
		"verify": {
			imports: []string{"bundle"}, tests: []string{"unpack"},
		},
		"unpack": {
			imports: []string{"bundle", "bundle/certs", "bundle/contents", "bundle/durable", "bundle/reach", "internal/access", "internal/pubkeys", "verify", "unpack/site", "unpack/state", "unpack/store", "unpack/tree"},
		},
		"unpack/site": {
			imports: []string{"bundle", "unpack/site/settings"},
		},
		"unpack/site/settings": {
			imports: []string{"bundle", "bundle/reach"},
		},
		"unpack/state": {
			imports: []string{"bundle", "bundle/durable", "verify"}, within: "unpack",
		},
		"unpack/tree": {
			imports: []string{"bundle", "bundle/durable", "bundle/reach", "unpack/site", "unpack/state", "unpack/store", "verify"}, within: "unpack",
		},

		"sources/galaxy": {
			imports: []string{"bundle", "sources", "sources/complete", "sources/keyring", "sources/rebuild", "sources/upstream", "sources/galaxy/api", "sources/galaxy/record", "sources/galaxy/requirements", "sources/galaxy/resolve", "sources/galaxy/tarball", "sources/galaxy/version", "sources/pypi/pep440", "internal/fetch", "internal/pgpkeys", "internal/strictyaml"},
			tests:   []string{"sources/files", "sources/git"},
		},
		"sources/galaxy/api": {
			imports: []string{"bundle", "internal/fetch", "sources/galaxy/record", "sources/galaxy/version"}, tests: []string{"sources/galaxy/galaxytest"},
		},
		"sources/galaxy/galaxytest": {
			test: true,
		},
		"sources/galaxy/record": {
			imports: []string{"bundle"},
		},
		"sources/galaxy/requirements": {
			imports: []string{"bundle", "sources/galaxy/api", "sources/galaxy/version", "internal/foreignyaml"},
		},
		"internal/foreignyaml": {
			imports: []string{"internal/spelling"},
		},
		"sources/galaxy/resolve": {
			imports: []string{"bundle", "sources/galaxy/api", "sources/galaxy/version"},
		},
		"sources/galaxy/tarball": {
			imports: []string{"bundle", "sources/galaxy/record"}, tests: []string{"sources/galaxy/galaxytest"},
		},
		"sources/galaxy/version": {
			imports: []string{"bundle"},
		},

		"sources/simplestreams": {
			imports: []string{"bundle", "sources", "sources/keyring", "sources/rebuild", "sources/replay", "sources/stock", "sources/upstream", "sources/simplestreams/readers", "sources/simplestreams/streams", "internal/fetch", "internal/pgpkeys", "internal/strictyaml"}, tests: []string{"sources/collect"},
		},
		"sources/simplestreams/readers": {
			imports: []string{"bundle", "sources", "sources/complete", "sources/rebuild", "sources/simplestreams/streams"},
		},
		"sources/simplestreams/streams": {
			imports: []string{"bundle", "internal/pgpkeys"},
		},

		// Python packages, and the readers and the resolver below them.
		"sources/pypi": {
			imports: []string{"bundle", "sources", "sources/rebuild", "sources/replay", "sources/stock", "sources/upstream", "sources/pypi/index", "sources/pypi/lockfile", "sources/pypi/marker", "sources/pypi/pages", "sources/pypi/pep440", "sources/pypi/resolve", "sources/pypi/simple", "sources/pypi/tags", "internal/fetch", "internal/strictyaml"},
			tests:   []string{"sources/collect", "sources/files"},
		},
		"sources/pypi/index": {
			imports: []string{"bundle", "sources", "sources/upstream", "sources/pypi/marker", "sources/pypi/pages", "sources/pypi/pep440", "sources/pypi/resolve", "sources/pypi/simple", "sources/pypi/tags", "internal/fetch"},
		},
		"sources/pypi/lockfile": {
			imports: []string{"internal/spelling", "sources/pypi/marker", "sources/pypi/pep440"},
		},
		"sources/pypi/marker": {
			imports: []string{"internal/spelling", "sources/pypi/pep440"},
		},
		"sources/pypi/pages": {
			imports: []string{"bundle", "sources", "sources/complete", "sources/pypi/lockfile", "sources/pypi/marker", "sources/pypi/pep440", "sources/pypi/simple", "sources/pypi/tags"},
		},
		"sources/pypi/pep440": {
			imports: []string{"internal/spelling"},
		},
		"sources/pypi/resolve": {
			imports: []string{"sources/pypi/marker", "sources/pypi/pep440"}, tests: []string{"sources/pypi/tags"},
		},
		"sources/pypi/simple": {
			imports: []string{"sources/pypi/marker", "sources/pypi/pep440"},
		},
		"sources/pypi/tags": {
			imports: []string{"internal/spelling", "sources/pypi/marker", "sources/pypi/pep440"},
		},

		// What they stand on.
		"unpack/store": {
			imports: []string{"bundle", "bundle/durable"}, within: "unpack",
		},
		"internal/decompress": {
			imports: []string{"internal/spelling", "internal/fetch"},
		},
		"bundle/durable": {},
		"bundle/tidy": {
			imports: []string{"bundle", "bundle/durable"},
		},
		"internal/fetch": {
			imports: []string{"internal/spelling"}, tests: []string{"internal/decompress"},
		},
		"internal/pgpkeys": {
			imports: []string{"bundle", "internal/pubkeys"},
		},
		"internal/push": {
			imports: []string{"bundle", "internal/fetch", "internal/registry"}, tests: []string{"unpack"},
		},
		"internal/registry": {
			imports: []string{"internal/spelling", "internal/fetch"},
		},
		"internal/access": {
			imports: []string{"bundle"},
		},
		"internal/pubkeys": {
			imports: []string{"bundle", "bundle/certs"},
		},
		"internal/peak":     {},
		"internal/spelling": {},
		"internal/strictyaml": {
			imports: []string{"bundle", "internal/spelling"},
		},

		// What the program needs around them.
		"sources/config": {
			imports: []string{"internal/spelling", "internal/pgpkeys", "bundle", "sources", "internal/fetch", "internal/strictyaml"}, tests: []string{"sources/all"},
		},
		"sources/export": {
			imports: []string{"internal/spelling", "internal/pubkeys", "bundle", "bundle/contents", "bundle/media", "bundle/reach", "sources", "sources/collect", "sources/config", "internal/decompress", "internal/fetch", "internal/strictyaml", "sources/keys", "sources/ledger"},
		},
		"sources/keys": {
			imports: []string{"internal/access", "internal/pubkeys", "bundle"},
		},
		"sources/ledger": {
			imports: []string{"bundle", "bundle/durable", "internal/access"},
		},
		"internal/serve": {
			imports: []string{"bundle", "unpack/site"},
		},

		// Tests, tools, examples.
		"internal/archtest": {},
		"internal/bench": {
			imports: []string{"internal/peak", "internal/spelling"},
		},
		"internal/release": {
			imports: []string{"internal/pgpkeys", "sources/keys"}, tests: []string{"sources/apt", "sources/rpm"},
		},
		"sources/helm/helmtest": {
			test: true,
		},
		"sources/rpm/rpmtest": {
			test: true, imports: []string{"internal/test/upstreamtest"},
		},
		"sources/pypi/piptest": {
			test: true, imports: []string{"internal/test/prepared"},
		},
		"internal/test/gittest": {
			test: true, imports: []string{"internal/test/upstreamtest"},
		},
		"sources/sourcetest": {
			test: true, imports: []string{"bundle", "sources", "sources/collect", "sources/config", "sources/export", "sources/rebuild", "internal/decompress", "internal/fetch", "internal/serve", "internal/test/webtest", "sources/keys", "unpack", "verify"},
		},
		"internal/test/bundletest": {
			test: true, imports: []string{"bundle", "bundle/media", "verify"},
		},
		"internal/test/handmade": {
			test: true,
		},
		"internal/test/settest": {
			test: true, imports: []string{"bundle", "unpack", "internal/test/bundletest"},
		},
		"internal/promises": {
			test: true, tests: []string{"bundle", "internal/peak"},
		},
		"internal/simulation": {
			test: true, tests: []string{"bundle", "internal/serve", "sources", "sources/export", "unpack", "verify"},
		},
		"internal/test/faulttest": {
			test: true,
		},
		"internal/test/memtest":  {test: true},
		"internal/test/pages":    {test: true},
		"internal/test/prepared": {test: true},
		"internal/test/pty":      {test: true},
		"internal/test/systemtest": {
			test: true,
		},
		"internal/test/plantest": {
			test: true, imports: []string{"internal/decompress", "bundle", "sources", "sources/collect", "sources/config", "sources/keys", "internal/fetch", "internal/pgpkeys", "internal/strictyaml"},
		},
		"internal/test/upstreamtest": {
			test: true,
		},
		"internal/test/imagetest": {
			test: true, imports: []string{"internal/test/webtest"},
		},
		"internal/test/registrytest": {
			test: true, imports: []string{"internal/test/upstreamtest"},
		},
		"internal/test/webtest": {
			test: true, imports: []string{"bundle", "unpack/site", "internal/serve"},
		},
		"sources/apt/standin": {
			test: true, imports: []string{"internal/test/journey", "internal/test/upstreamtest"},
		},
		"sources/files/standin": {
			test: true, imports: []string{"internal/test/journey"},
		},
		"sources/galaxy/standin": {
			test: true, imports: []string{"internal/test/journey", "sources/galaxy/galaxytest"},
		},
		"sources/git/standin": {
			test: true, imports: []string{"internal/test/gittest", "internal/test/journey"},
		},
		"sources/helm/standin": {
			test: true, imports: []string{"internal/test/journey", "internal/test/registrytest", "sources/helm/helmtest"},
		},
		"sources/kubespray/standin": {
			test: true, imports: []string{"internal/test/journey", "internal/test/registrytest", "internal/test/upstreamtest"},
		},
		"sources/oci/standin": {
			test: true, imports: []string{"internal/test/journey", "internal/test/registrytest"},
		},
		"sources/pypi/standin": {
			test: true, imports: []string{"internal/test/journey", "internal/test/upstreamtest", "sources/pypi/piptest"},
		},
		"sources/rpm/standin": {
			test: true, imports: []string{"internal/test/journey", "sources/rpm/rpmtest"},
		},
		"sources/simplestreams/standin": {
			test: true, imports: []string{"internal/test/journey"},
		},
		"sources/all/standins": {
			test: true, imports: []string{"internal/test/journey", "sources/apt/standin", "sources/files/standin", "sources/galaxy/standin", "sources/git/standin", "sources/helm/standin", "sources/kubespray/standin", "sources/oci/standin", "sources/pypi/standin", "sources/rpm/standin", "sources/simplestreams/standin"},
		},
		"internal/test/journey": {
			test: true,
		},
		"examples": {
			tests: []string{"bundle", "sources/config", "unpack/site", "unpack/site/settings"},
		},
		"examples/demo": {},
	}
}

// ban is what a package must not have in reach.
type ban struct {
	reach  []string // not even through what it imports, of whatever module
	direct []string // not itself
	clock  bool     // does not ask what time it is: times are handed in
}

// bans holds for each package named and all below it.
func bans() map[string]ban {
	noNetwork := []string{"net/http", "os/exec"}
	return map[string]ban{
		"bundle":         {reach: noNetwork, direct: []string{"log", "log/slog"}, clock: true},
		"verify":         {reach: append([]string{"bundle/media", "bundle/durable", "sources", "unpack"}, noNetwork...), direct: []string{"log", "log/slog"}, clock: true},
		"unpack":         {reach: append([]string{"bundle/media", "sources"}, noNetwork...)},
		"sources":        {reach: []string{"verify", "unpack", "cmd"}},
		"unpack/store":   {reach: noNetwork},
		"bundle/durable": {reach: noNetwork},
		// What is inside the gap has no source, no resolver and no exporter's key.
		"cmd/gapbundle-inside": {reach: []string{"sources", "bundle/media", "cmd/gapbundle", "internal/decompress", "github.com/andybalholm/brotli"}},
		"cmd/internal":         {reach: []string{"sources", "bundle/media", "cmd/gapbundle"}},
		"sources/ledger":       {reach: noNetwork},
		"sources/export":       {reach: []string{"unpack", "cmd"}},
		"internal/push":        {reach: []string{"sources", "unpack", "cmd"}},
	}
}

// addressOnly returns the packages that may import net within reach of those that
// are banned from the network. They use nothing of it but addressNames, which
// is looked at as well.
func addressOnly() []string {
	return []string{
		"crypto/x509",
		"github.com/google/go-containerregistry/pkg/name", // which sigstore's signature imports
		"golang.org/x/sys/windows",
	}
}

// addressNames returns the names in net that hold and read addresses and do nothing.
func addressNames() []string {
	return []string{"IP", "IPMask", "IPNet", "IPv4len", "IPv6len", "ParseIP", "ParseCIDR", "SplitHostPort"}
}

// heavy returns modules that only the packages named may have in reach, by the
// beginning of their paths: they are large, and can reach the network.
func heavy() map[string][]string {
	helm := []string{"sources/helm/render", "cmd/gapbundle"}
	return map[string][]string{"helm.sh/": helm, "k8s.io/": helm}
}

// doors returns the packages by which a kind could get at a network or start a
// program without fetch.Client, and who below sources may import them.
func doors() map[string][]string {
	return map[string][]string{
		// helm's engine runs in a child of this program; the git program is the
		// only other one, and git's only way to a network is the relay.
		"os/exec": {"sources/helm/child", "sources/git/gitrun"},
		"net":     {"sources/git/relay"},
	}
}

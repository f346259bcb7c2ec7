package export

import "testing"

// TestFileName: a file whose name is a digest is named by its folders.
func TestFileName(t *testing.T) {
	const digest = "5b4b88bc3b09834b5579688c2e98bc14fb9005950c6e428001f47a010828b465"
	for path, want := range map[string]string{
		"/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/" + digest: "main binary-amd64",
		"/debian/dists/bookworm/InRelease":                                  "InRelease",
		"/el9/repodata/" + digest + "-primary.xml.gz":                       digest + "-primary.xml.gz",
		"/v2/nvidia/k8s/dcgm-exporter/blobs/sha256:" + digest:               "k8s dcgm-exporter",
		"/v2/nvidia/k8s/dcgm-exporter/manifests/sha256:" + digest:           "k8s dcgm-exporter",
		"/v2/nvidia/k8s/dcgm-exporter/manifests/4.2":                        "dcgm-exporter:4.2",
		"/" + digest: digest,
		"/":          "/",
		"":           ".",
	} {
		if got := fileName(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

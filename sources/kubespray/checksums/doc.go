// Package checksums finds the digest that Kubespray has for a file it downloads.
//
// Kubespray keeps a table of digests for each program that it installs: program,
// then architecture (or no_arch, or none), then version, then the digest as
// "sha256:<hex>", "sha512:<hex>" or, before release 2.25, bare hexadecimal digits.
// 0 stands for "no such file". Older releases keep the tables among other variables,
// which are not looked at, and one of their tables has the system before the
// architecture.
//
// A URL leads to an entry by a pattern for each table, which also states where in the
// URL the architecture and the version are. Architecture and version alone would not
// do: kubelet, kubectl and kubeadm share them.
package checksums

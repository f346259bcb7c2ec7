// Package readers is what MAAS, LXD and Incus do with a mirror of simplestreams: whether
// they find it complete, and the files that set them up.
package readers

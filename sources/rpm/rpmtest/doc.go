// Package rpmtest makes packages and repositories for tests: whole rpm files
// with headers, digests and signatures, whose payload is made up.
package rpmtest

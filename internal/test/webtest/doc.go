// Package webtest starts the web servers that a mirror is tested with: nginx,
// Apache httpd, Caddy and our own, each with nothing but the configuration
// that the mirror itself holds, on a loopback port of its own, as a child that
// ends with the test. Nothing of the machine's own configuration is read or
// changed. A server that is not installed is a failure, never a skip.
//
// Fixture lays out a small mirror by the rules of docs/design, for tests of
// what serves one; the real publisher is package unpack.
package webtest

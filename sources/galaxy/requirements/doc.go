// Package requirements reads requirements.yml and what a role states about the roles that it needs, as
// ansible-galaxy reads them.
//
// A requirements file is a list of roles, or a mapping with the keys "collections" and "roles". A
// collection is a name with a range of versions, or something else that the file points to: a
// repository (type git), an address (url), an archive on disk (file). A role is "owner.name" with a
// tag, a repository (scm: git, or an address that begins with "git+" or is on github.com), an address,
// an archive on disk, or "include" with the name of another list of roles.
//
// Values count as they are written. Where ansible-galaxy would read a number another way ("version:
// 1.10" is 1.1 to it) the file is refused, with the quotes that it lacks. Anchors, aliases and tags are
// not read.
package requirements

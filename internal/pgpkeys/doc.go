// Package pgpkeys reads OpenPGP keys, checks detached signatures by them, and
// signs with the site's key: what every kind needs whose upstream signs.
//
// A key that has expired or was revoked counts for nothing, and neither does a
// signature over a digest that can be forged (MD5, SHA-1).
package pgpkeys

//go:build tools

// Package etcd pins a program of the test cluster.
package etcd

import _ "go.etcd.io/etcd/server/v3"

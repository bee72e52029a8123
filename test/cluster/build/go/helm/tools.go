//go:build tools

// Package helm pins a program of the test cluster.
package helm

import _ "helm.sh/helm/v3/cmd/helm"

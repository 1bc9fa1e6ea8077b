// Package controllers stands in for one of the same name that module proxies refuse.
package controllers

// DerivedServiceAnnotation is all that Cilium's operator takes of it, and only for several clusters at once.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"

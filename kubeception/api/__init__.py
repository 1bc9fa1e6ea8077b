"""The API kubeception.io/v1alpha1: models, their CustomResourceDefinitions and conditions."""

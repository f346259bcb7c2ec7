package settings

func deepOpsExtra() []Variable {
	raw := "https://raw.githubusercontent.com/"
	snapshot := raw + "kubernetes-csi/external-snapshotter/"
	extra := func(v Variable) Variable {
		v.Where = ExtraVars
		return v
	}
	return []Variable{
		extra(Variable{Name: "docker_registry_mirrors", By: "Kubespray's role docker; group_vars of DeepOps set it", Form: Custom, Make: dockerMirrors, Spec: specDockerHub, Note: "dockerd mirrors docker.io alone, and by an address without a path"}),
		extra(Variable{Name: "docker_insecure_registries", By: "Kubespray's role docker; group_vars of DeepOps set it", Form: Custom, Make: insecureRegistries, Spec: specDockerHub}),
		extra(Variable{Name: "crio_insecure_registries", By: "Kubespray's role cri-o; group_vars of DeepOps set it", Form: Custom, Make: insecureRegistries, Spec: specDockerHub}),
		extra(Variable{Name: "sm_files_url", By: "role easy-build-packages; group_vars of DeepOps set it", Form: Repository, Public: []string{"https://github.com/DeepOps/easybuild_files.git"}}),
		extra(Variable{Name: "trident_helm_repo_url", By: "role netapp-trident; group_vars of DeepOps set it", Form: Folder, Public: []string{"https://netapp.github.io/trident-helm-chart"}, Probe: "trident-operator-*.tgz", Spec: chart("https://netapp.github.io/trident-helm-chart", "trident-operator", "100.2602.1")}),
		extra(Variable{Name: "trident_installer_url", By: "role netapp-trident; group_vars of DeepOps set it", Public: []string{"https://github.com/NetApp/trident/releases/download/v26.02.1/trident-installer-26.02.1.tar.gz"}, Vary: "26.02.1", With: "trident_version"}),
		extra(Variable{Name: "volume_snapshot_CRD_manifest_URLs", By: "role netapp-trident", Form: Files, Public: []string{snapshot + "release-8.3/client/config/crd/snapshot.storage.k8s.io_volumesnapshotclasses.yaml", snapshot + "release-8.3/client/config/crd/snapshot.storage.k8s.io_volumesnapshotcontents.yaml", snapshot + "release-8.3/client/config/crd/snapshot.storage.k8s.io_volumesnapshots.yaml"}, Vary: "release-8.3"}),
		extra(Variable{Name: "snapshot_controller_manifest_URLs", By: "role netapp-trident", Form: Files, Public: []string{snapshot + "release-8.3/deploy/kubernetes/snapshot-controller/rbac-snapshot-controller.yaml", snapshot + "release-8.3/deploy/kubernetes/snapshot-controller/setup-snapshot-controller.yaml"}, Vary: "release-8.3"}),
		extra(Variable{Name: "nvidia_network_operator_url", By: "role nvidia-network-operator", Form: Folder, Public: []string{ngcCharts}, Probe: "network-operator-*.tgz", Spec: chart(ngcCharts, "network-operator", "26.4.0")}),
		extra(Variable{Name: "mpi_raw_url", By: "role nvidia-network-operator", Form: Folder, Public: []string{raw + "kubeflow/mpi-operator/master/deploy/v2beta1"}, Probe: "mpi-operator.yaml", Spec: `- {name: mpi-operator, kind: files, urls: ["` + raw + `kubeflow/mpi-operator/master/deploy/v2beta1/mpi-operator.yaml"]}`}),
		extra(Variable{Name: "ood_url_turbovnc_pkg", By: "role ood-wrapper on Ubuntu", Public: []string{"https://downloads.sourceforge.net/project/turbovnc/2.2.4/turbovnc_2.2.4_amd64.deb"}, Vary: "2.2.4"}),
		extra(Variable{Name: "multus_ds", By: "role roce_backend", Public: []string{raw + "k8snetworkplumbingwg/multus-cni/master/deployments/multus-daemonset.yml"}}),
		extra(Variable{Name: "sriov_dp_ds", By: "role roce_backend", Public: []string{raw + "k8snetworkplumbingwg/sriov-network-device-plugin/master/deployments/sriovdp-daemonset.yaml"}}),
		extra(Variable{Name: "sriov_cni_ds", By: "role roce_backend", Public: []string{raw + "k8snetworkplumbingwg/sriov-cni/master/images/sriov-cni-daemonset.yaml"}}),
		extra(Variable{Name: "dgx_os6_repo_files_url", By: "role nvidia-dgx", Public: []string{"https://repo.download.nvidia.com/baseos/ubuntu/jammy/dgx-repo-files.tgz"}}),
		extra(Variable{Name: "dgx_os7_repo_files_url", By: "role nvidia-dgx", Public: []string{"https://repo.download.nvidia.com/baseos/ubuntu/noble/x86_64/dgx-repo-files.tgz"}}),
		extra(Variable{Name: "dgx_redhat_repo_setup_rpms", By: "role nvidia-dgx", Form: Custom, Make: dgxSetup, Spec: `- {name: dgx-setup, kind: files, urls: ["` + dgxSetupURL + `"]}`}),
	}
}

func deepOpsEnvironment() []Variable {
	environment := func(v Variable) Variable {
		v.Where = Environment
		return v
	}
	repo := func(name, by, url, chartName, version string) Variable {
		return environment(Variable{Name: name, By: by, Form: Folder, Public: []string{url}, Probe: chartName + "-*.tgz", Spec: chart(url, chartName, version)})
	}
	return append(Common(),
		environment(Variable{Name: "ANSIBLE_VERSION", By: "scripts/setup.sh", Form: Custom, Make: newerAnsible, Spec: specPython218, Note: "setup.sh pins ansible 10.7.0 (core 2.17), and Kubespray's playbooks accept core 2.18 alone: for k8s-cluster.yml, export ANSIBLE_VERSION=11.13.0 before setup.sh"}),
		environment(Variable{Name: "HELM_INSTALL_SCRIPT_URL", By: "scripts/k8s/install_helm.sh", Public: []string{"https://raw.githubusercontent.com/helm/helm/master/scripts/get-helm-3"}, Note: "the script fetches helm from get.helm.sh, which has no variable; it is not asked for where helm is installed"}),
		repo("HELM_CHARTS_REPO_PROMETHEUS", "scripts/k8s/deploy_monitoring.sh", "https://prometheus-community.github.io/helm-charts", "kube-prometheus-stack", "87.5.1"),
		repo("HELM_CHARTS_REPO_INGRESS", "scripts/k8s/deploy_ingress.sh", "https://kubernetes.github.io/ingress-nginx", "ingress-nginx", "4.15.1"),
		repo("HELM_CHARTS_REPO_METALLB", "scripts/k8s/deploy_loadbalancer.sh", "https://metallb.github.io/metallb", "metallb", "0.13.9"),
		repo("HELM_ROOK_CHART_REPO", "scripts/k8s/deploy_rook.sh", "https://charts.rook.io/release", "rook-ceph", "v1.1.1"),
		environment(Variable{Name: "KUBEFLOW_MANIFESTS_URL", By: "scripts/k8s/deploy_kubeflow.sh", Form: Repository, Public: []string{"https://github.com/kubeflow/manifests.git"}}),
		environment(Variable{Name: "KUSTOMIZE_URL", By: "scripts/k8s/deploy_kubeflow.sh", Public: []string{"https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize/v5.1.0/kustomize_v5.1.0_linux_amd64.tar.gz"}, Vary: "5.1.0", Spec: `- {name: kustomize, kind: files, urls: [{url: "https://github.com/kubernetes-sigs/kustomize/releases/download/kustomize%2Fv5.1.0/kustomize_v5.1.0_linux_amd64.tar.gz", path: github.com/kubernetes-sigs/kustomize/releases/download/kustomize/v5.1.0/kustomize_v5.1.0_linux_amd64.tar.gz}]}`}),
		environment(Variable{Name: "KUBECTL_BINARY_URL", By: "scripts/k8s/setup_remote_k8s.sh", Public: []string{"https://dl.k8s.io/release/v1.35.4/bin/linux/amd64/kubectl"}, Vary: "v1.35.4"}),
		environment(Variable{Name: "DOCKER_COMPOSE_URL", By: "scripts/generic/install_docker.sh", Public: []string{"https://github.com/docker/compose/releases/download/1.23.2/docker-compose-Linux-x86_64"}, Vary: "1.23.2"}),
	)
}

// deepOpsWritten returns the addresses without a variable: reached by their public names, or by
// a source list under the name that a package would use.
func deepOpsWritten() []Variable {
	written := func(by string, form Form, probe, spec string, public ...string) Variable {
		return Variable{Where: Written, By: by, Form: form, Probe: probe, Spec: spec, Public: public}
	}
	file := func(by string, public ...string) Variable { return written(by, File, "", "", public...) }
	image := func(by, source, ref string) Variable {
		v := written(by, Custom, "", `- {name: `+source+`, kind: oci, images: ["`+ref+`"], platforms: [linux/amd64]}`, ref)
		v.Make = imageAnswered(ref)
		return v
	}
	return []Variable{
		written("the source list of package cuda-keyring (roles nvidia_cuda, nvidia_dcgm)", Folder, "Packages*", specCUDA, cudaUbuntu),
		written("apt-get in the Dockerfile of role prometheus-slurm-exporter", Folder, "dists/*/InRelease", specUbuntu, "http://archive.ubuntu.com/ubuntu"),
		written("scripts/setup.sh, where it runs alone", Repository, "", "", "https://github.com/NVIDIA/deepops.git"),
		file("playbooks/k8s-cluster.yml, for a control machine of another system", "https://dl.k8s.io/release/v1.35.4/bin/linux/amd64/kubectl"),
		file("playbooks/k8s-cluster.yml, for a control machine of another system", "https://dl.k8s.io/release/v1.35.4/bin/linux/amd64/kubectl.sha256"),
		file("the script of helm", "https://get.helm.sh/helm-v3.17.1-linux-amd64.tar.gz"),
		file("the script of helm", "https://get.helm.sh/helm-v3.17.1-linux-amd64.tar.gz.sha256"),
		file("helm repo add stable in playbooks/k8s-cluster.yml", "https://charts.helm.sh/stable/index.yaml"),
		file("scripts/setup.sh on Enterprise Linux", epel+"epel-release-latest-9.noarch.rpm"),
		file("playbooks/slurm-cluster/slurm-validation.yml", "https://github.com/NVIDIA/nccl-tests/archive/f773748b46.tar.gz"),
		written("role nvidia-gpu-tests", Repository, "", "", "https://github.com/NVIDIA/cuda-samples.git"),
		image("role nvidia-gpu-tests", "gpu-tests", "nvcr.io/nvidia/tensorflow:18.07-py3"),
		image("base_container in playbooks/slurm-cluster/slurm-validation.yml, which enroot asks for by its public name", "slurm-validation", "nvcr.io/nvidia/pytorch:26.04-py3"),
		image("playbooks/k8s-cluster/roce.yaml, by Docker", "sriov-device-plugin", "docker.io/nfvpe/sriov-device-plugin:latest"),
		image("playbooks/k8s-cluster/roce.yaml, by Docker", "sriov-cni", "docker.io/nfvpe/sriov-cni:latest"),
		file("role docker-rootless", "https://get.docker.com/rootless"),
		file("role roce_backend", "https://raw.githubusercontent.com/Mellanox/dhcp-cni/master/k8s-1.16/dhcp-cni-ds.yaml"),
		written("role roce_backend", File, "", `- {name: mpi-operator-v1, kind: files, urls: ["https://raw.githubusercontent.com/kubeflow/mpi-operator/master/deploy/v1/mpi-operator.yaml"]}`, "https://raw.githubusercontent.com/kubeflow/mpi-operator/master/deploy/v1/mpi-operator.yaml"),
		written("role roce_backend", File, "", `- {name: mofed-iso, kind: files, urls: ["`+mofedISO+`"]}`, mofedISO),
		written("role ood-wrapper", Repository, "", "", "https://github.com/OSC/bc_osc_codeserver.git"),
		file("scripts/k8s/setup_remote_k8s.sh", "https://storage.googleapis.com/kubernetes-release/release/stable.txt"),
		written("scripts/generic/install_docker.sh", File, "", `- {name: get-docker, kind: files, urls: [{url: "https://get.docker.com/", path: get.docker.com/index.html}]}`, "https://get.docker.com/"),
	}
}

// kubespray returns the variables of Kubespray that are no part of another table.
func kubespray() []Variable {
	prefix := func(name, host, spec string) Variable {
		return Variable{Name: name, By: "Kubespray's role download", Form: Custom, Make: filesOf(host), Public: []string{"https://" + host}, Spec: spec}
	}
	repo := func(name, registry, spec, note string) Variable {
		return Variable{Name: name, By: "Kubespray's role download", Form: Custom, Make: renamed(registry), Spec: spec, Note: note + "not needed where containerd_registries_mirrors is set: images keep their names. The value is for another runtime"}
	}
	return []Variable{
		{Name: "files_repo", By: "Kubespray's role download", Form: Custom, Make: filesOf(""), Spec: specKubespray},
		prefix("github_url", "github.com", specKubespray),
		prefix("dl_k8s_io_url", "dl.k8s.io", specKubespray),
		prefix("get_helm_url", "get.helm.sh", specKubespray),
		prefix("storage_googleapis_url", "storage.googleapis.com", specGVisor),
		{Name: "registry_host", By: "Kubespray's role download", Form: Custom, Make: registryHost, Spec: specKubespray},
		{Name: "containerd_registries_mirrors", By: "Kubespray's role containerd", Form: Custom, Make: containerdMirrors, Spec: specKubespray},
		repo("kube_image_repo", "registry.k8s.io", specKubespray, ""),
		repo("gcr_image_repo", "gcr.io", "", "no image of Kubespray v2.31.0 comes from gcr.io; "),
		repo("docker_image_repo", "docker.io", specKubespray, ""),
		repo("quay_image_repo", "quay.io", specKubespray, ""),
		repo("github_image_repo", "ghcr.io", specKubeVIP, "kube-vip and Multus, both off by default, come from ghcr.io; "),
	}
}

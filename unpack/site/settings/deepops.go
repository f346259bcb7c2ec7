package settings

// DeepOpsRelease is what the names of DeepOps' variables were read from.
const DeepOpsRelease = "DeepOps 26.07 (master 3957a42f, August 2026) with Kubespray v2.31.0"

// Values that several rows share.
const (
	cudaUbuntu = "https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/x86_64"
	cudaRHEL   = "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64"
	epel       = "https://dl.fedoraproject.org/pub/epel/"
	ngcCharts  = "https://helm.ngc.nvidia.com/nvidia"
	mofedISO   = "https://content.mellanox.com/ofed/MLNX_OFED-24.10-4.1.4.0/MLNX_OFED_LINUX-24.10-4.1.4.0-ubuntu24.04-x86_64.iso"

	specDocker    = `- {name: docker, kind: apt, url: "https://download.docker.com/linux/ubuntu", suites: noble, components: stable, architectures: amd64, keyring: {url: "https://download.docker.com/linux/ubuntu/gpg", fingerprint: 9DC858229FC7DD38854AE2D88D81803C0EBFCD88}}`
	specDockerE   = `- {name: docker-el9, kind: rpm, baseurl: "https://download.docker.com/linux/rhel/9/x86_64/stable", gpgkey: {url: "https://download.docker.com/linux/rhel/gpg", fingerprint: 060A61C51B558A7F742B77AAC52FEB6B621E9F35}}`
	specToolkit   = `- {name: container-toolkit, kind: apt, url: "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)", suites: /, architectures: amd64, keyring: {url: "https://nvidia.github.io/libnvidia-container/gpgkey", fingerprint: C95B321B61E88C1809C4F759DDCAE044F796ECB0}}`
	specToolE     = `- {name: container-toolkit-el, kind: rpm, baseurl: "https://nvidia.github.io/libnvidia-container/stable/rpm/x86_64", gpgkey: {url: "https://nvidia.github.io/libnvidia-container/gpgkey", fingerprint: C95B321B61E88C1809C4F759DDCAE044F796ECB0}}`
	specCUDA      = `- {name: cuda, kind: apt, url: "` + cudaUbuntu + `", suites: /, release: noble, architectures: amd64, packages: [cuda-keyring, cuda-toolkit, datacenter-gpu-manager], newest: 1, keyring: {url: "` + cudaUbuntu + `/3bf863cc.pub", fingerprint: EB693B3035CD5710E231E123A4B469963BF863CC}}`
	specCUDAE     = `- {name: cuda-el9, kind: rpm, baseurl: "` + cudaRHEL + `", packages: [cuda-toolkit, datacenter-gpu-manager], newest: 1, architectures: x86_64, gpgkey: {url: "` + cudaRHEL + `/D42D0685.pub", fingerprint: 610C7B14E068A878070DA4E99CD0A493D42D0685}}`
	specMAAS      = `- {name: maas, kind: apt, url: "https://ppa.launchpadcontent.net/maas/3.7/ubuntu", suites: noble, components: main, architectures: amd64, keyring: keys/maas.asc}`
	specDockerHub = `- {name: docker-hub, kind: oci, images: ["docker.io/library/ubuntu:24.04"], platforms: [linux/amd64]}`
	specKubespray = `- {name: kubespray, kind: kubespray, checkout: deepops/submodules/kubespray, files: files.list, images: images.list, platforms: [linux/amd64]}`
	specGVisor    = `- {name: gvisor, kind: files, urls: ["https://storage.googleapis.com/gvisor/releases/release/20260323.0/x86_64/runsc", "https://storage.googleapis.com/gvisor/releases/release/20260323.0/x86_64/containerd-shim-runsc-v1"]}`
	specKubeVIP   = `- {name: kube-vip, kind: oci, images: ["ghcr.io/kube-vip/kube-vip:v1.0.3"], platforms: [linux/amd64]}`
	specPython    = `- {name: setup, kind: pypi, index: "https://packages.example.org/simple", packages: ["ansible==10.7.0"], targets: [{python: "3.12", platform: manylinux_2_39_x86_64}]}`
	specPython218 = `- {name: kubespray-python, kind: pypi, index: "https://packages.example.org/simple", packages: ["ansible==11.13.0"], targets: [{python: "3.12", platform: manylinux_2_39_x86_64}]}`
	specExporter  = `- {name: slurm-exporter, kind: oci, archive: {file: slurm-exporter.tar, as: "docker.io/deepops/prometheus-slurm-exporter:2.0.0"}}`
	specUbuntu    = `- {name: ubuntu, kind: apt, url: "http://archive.ubuntu.com/ubuntu", suites: [noble, noble-updates, noble-security], components: [main, restricted, universe, multiverse], architectures: amd64, packages: [git], newest: 1, keyring: {url: "http://archive.ubuntu.com/ubuntu/project/ubuntu-archive-keyring.gpg", fingerprint: F6ECB3762474EDA9D21B7022871920D1991BC93C}}`
)

func chart(repo, name, version string) string { return chartAs(name, repo, name, version) }

// chartAs works like chart, with a name for the source: two repositories may have charts of one name.
func chartAs(source, repo, name, version string) string {
	return `- {name: ` + source + `, kind: helm, charts: [{repo: "` + repo + `", chart: ` + name + `, version: "` + version + `"}]}`
}

// DeepOps returns the variables of DeepOps and of the roles and playbooks that it uses, and the
// addresses that are written into it.
func DeepOps() []Variable {
	var all []Variable
	for _, part := range [][]Variable{deepOpsPackages(), deepOpsFiles(), deepOpsImages(), deepOpsCharts(), kubespray(), deepOpsExtra(), deepOpsEnvironment(), deepOpsWritten()} {
		all = append(all, part...)
	}
	return all
}

func deepOpsPackages() []Variable {
	return []Variable{
		{Name: "docker_ubuntu_repo_base_url", By: "Kubespray's role docker", Form: Folder, Public: []string{"https://download.docker.com/linux/ubuntu"}, Probe: "dists/*/InRelease", Spec: specDocker, Lists: true},
		{Name: "docker_ubuntu_repo_gpgkey", By: "Kubespray's role docker", Form: PublishedKey, Public: []string{"https://download.docker.com/linux/ubuntu/gpg"}, Spec: specDocker},
		{Name: "docker_ubuntu_repo_repokey", By: "Kubespray's role docker", Form: Custom, Make: fingerprintOf("https://download.docker.com/linux/ubuntu/gpg"), Spec: specDocker, Note: "the role compares the id of the key; of a rebuilt repository it is the site's"},
		{Name: "docker_rh_repo_base_url", By: "Kubespray's role docker", Form: Folder, Public: []string{"https://download.docker.com/linux/rhel/9/x86_64/stable", "https://download.docker.com/linux/centos/9/x86_64/stable"}, Probe: "repodata/repomd.xml", Spec: specDockerE},
		{Name: "docker_rh_repo_gpgkey", By: "Kubespray's role docker", Form: PublishedKey, Public: []string{"https://download.docker.com/linux/rhel/gpg", "https://download.docker.com/linux/centos/gpg"}, Spec: specDockerE},
		{Name: "nvidia_container_toolkit_repo_base_url", By: "role nvidia_container_toolkit", Form: Prefix, Public: []string{"https://nvidia.github.io/libnvidia-container"}, Probe: "stable/deb/amd64", Spec: specToolkit, Note: "the role appends /stable/deb/<architecture>", Lists: true},
		{Name: "nvidia_container_toolkit_repo_gpg_url", By: "role nvidia_container_toolkit", Form: PublishedKey, Public: []string{"https://nvidia.github.io/libnvidia-container/gpgkey"}, Of: "https://nvidia.github.io/libnvidia-container/stable/deb/amd64", Spec: specToolkit},
		{Name: "nvidia_container_toolkit_rpm_repo_url", By: "role nvidia_container_toolkit", Form: Custom, Make: repoFileOf("https://nvidia.github.io/libnvidia-container/stable/rpm/x86_64"), Spec: specToolE, Note: "a .repo file: the mirror's, since upstream's leads to the public host"},
		{Name: "epel_package", By: "roles lmod, slurm, nvidia_cuda and others", Form: File, Public: []string{epel + "epel-release-latest-9.noarch.rpm"}, Note: "put the mirror's epel.repo into /etc/yum.repos.d first (clients --for ansible): this package brings one with the public host, and rpm keeps what is there"},
		{Name: "epel_key_url", By: "roles lmod, slurm, nvidia_cuda and others", Form: PublishedKey, Public: []string{epel + "RPM-GPG-KEY-EPEL-9"}, Spec: `- {name: epel-key, kind: files, urls: ["` + epel + `RPM-GPG-KEY-EPEL-9"]}`},
		{Name: "epel_repo_key", By: "role nvidia.nvidia_driver", Form: PublishedKey, Public: []string{epel + "RPM-GPG-KEY-EPEL-9"}, Spec: `- {name: epel-key, kind: files, urls: ["` + epel + `RPM-GPG-KEY-EPEL-9"]}`},
		{Name: "epel_gpg_key", By: "role nvidia.enroot", Form: PublishedKey, Public: []string{epel + "RPM-GPG-KEY-EPEL-9"}, Spec: `- {name: epel-key, kind: files, urls: ["` + epel + `RPM-GPG-KEY-EPEL-9"]}`},
		{Name: "nvidia_driver_ubuntu_cuda_repo_baseurl", By: "roles nvidia_cuda, nvidia_dcgm", Form: Folder, Public: []string{cudaUbuntu}, Probe: "Packages*", Spec: specCUDA},
		{Name: "nvidia_driver_ubuntu_cuda_keyring_url", By: "roles nvidia_cuda, nvidia_dcgm", Form: File, Public: []string{cudaUbuntu + "/cuda-keyring_1.1-1_all.deb"}, Vary: "1.1-1", Spec: specCUDA, Note: "the package brings a source list with the public host: put the mirror's into /etc/apt/sources.list.d under that name first (clients --for ansible)"},
		{Name: "nvidia_driver_rhel_cuda_repo_baseurl", By: "roles nvidia_cuda, nvidia_dcgm, nvidia.nvidia_driver", Form: Folder, Public: []string{cudaRHEL}, Probe: "repodata/repomd.xml", Spec: specCUDAE},
		{Name: "nvidia_driver_rhel_cuda_repo_gpgkey", By: "roles nvidia_cuda, nvidia_dcgm, nvidia.nvidia_driver", Form: PublishedKey, Public: []string{cudaRHEL + "/D42D0685.pub"}, Spec: specCUDAE},
		{Name: "maas_repo", By: "role maas-controller", Form: Custom, Make: maasLine, Spec: specMAAS, Note: "a deb line: for the form ppa: Ansible asks Launchpad"},
		{Name: "hosts_entries", By: "roles DeepOps.hosts, deepops_hosts", Form: Custom, Make: hostsEntries, Spec: `- {name: deepops, kind: git, url: "https://github.com/NVIDIA/deepops.git"}`, Note: "the role replaces /etc/hosts, and the public names that were in it are gone. Where they are not in DNS: ansible-playbook -e gapbundle_address=IP, the mirror's"},
		{Name: "chrony_config_server", By: "role deepops_chrony", Form: Custom, Make: never, Note: "a service, not content: name a time server of the site, chrony_config_server: [ntp.lan]"},
	}
}

func deepOpsFiles() []Variable {
	enroot := "https://github.com/NVIDIA/enroot/releases/download/v3.2.0/"
	return []Variable{
		{Name: "slurm_src_url", By: "role slurm", Public: []string{"https://download.schedmd.com/slurm/slurm-26.05.1.tar.bz2"}, Vary: "26.05.1", With: "slurm_version"},
		{Name: "hwloc_src_url", By: "role slurm", Public: []string{"https://download.open-mpi.org/release/hwloc/v2.5/hwloc-2.5.0.tar.gz"}, Vary: "2.5.0", With: "hwloc_version"},
		{Name: "pmix_src_url", By: "role slurm", Public: []string{"https://github.com/openpmix/openpmix/releases/download/v3.2.3/pmix-3.2.3.tar.bz2"}, Vary: "3.2.3", With: "pmix_version"},
		{Name: "nhc_src_url", By: "role nhc", Public: []string{"https://github.com/mej/nhc/releases/download/1.4.3/lbnl-nhc-1.4.3.tar.xz"}, Vary: "1.4.3", With: "nhc_version"},
		{Name: "slurm_pyxis_tarball_url", By: "role pyxis", Public: []string{"https://github.com/NVIDIA/pyxis/archive/v0.11.1.tar.gz"}, Vary: "0.11.1", With: "slurm_pyxis_version"},
		{Name: "hpcsdk_download_url", By: "role nvidia_hpc_sdk", Public: []string{"https://developer.download.nvidia.com/hpc-sdk/23.7/nvhpc_2023_237_Linux_x86_64_cuda_12.2.tar.gz"}},
		{Name: "enroot_deb_packages", By: "role nvidia.enroot", Form: Files, Public: []string{enroot + "enroot_3.2.0-1_amd64.deb", enroot + "enroot+caps_3.2.0-1_amd64.deb"}, Vary: "3.2.0", With: "enroot_version"},
		{Name: "enroot_rpm_packages", By: "role nvidia.enroot", Form: Files, Public: []string{enroot + "enroot-3.2.0-1.el7.x86_64.rpm", enroot + "enroot+caps-3.2.0-1.el7.x86_64.rpm"}, Vary: "3.2.0", With: "enroot_version"},
		{Name: "openmpi_src_url", By: "role openmpi", Public: []string{"https://download.open-mpi.org/release/open-mpi/v4.0/openmpi-4.0.3.tar.bz2"}, Vary: "4.0.3", With: "openmpi_version"},
		{Name: "mofed_download_url", By: "role mofed", Public: []string{"http://www.mellanox.com/downloads/ofed/MLNX_OFED-5.6-2.0.9.0/MLNX_OFED_LINUX-5.6-2.0.9.0-ubuntu24.04-x86_64.tgz"}, Vary: "5.6-2.0.9.0", With: "mofed_version"},
		{Name: "mig_manager_url_deb", By: "role nvidia-mig-manager", Public: []string{"https://github.com/NVIDIA/mig-parted/releases/download/v0.14.2/nvidia-mig-manager_0.14.2-1_amd64.deb"}, Vary: "0.14.2"},
		{Name: "mig_manager_url_rpm", By: "role nvidia-mig-manager", Public: []string{"https://github.com/NVIDIA/mig-parted/releases/download/v0.14.2/nvidia-mig-manager-0.14.2-1.x86_64.rpm"}, Vary: "0.14.2"},
		{Name: "eb_bootstrap_url", By: "role easy-build", Public: []string{"https://raw.githubusercontent.com/easybuilders/easybuild-framework/49533e6ef8f3ca27f984eeb212e157874cae9183/easybuild/scripts/bootstrap_eb.py"}},
		{Name: "miniconda_mirror", By: "role andrewrothstein.miniconda", Form: Folder, Public: []string{"https://repo.anaconda.com/miniconda"}, Probe: "Miniconda3-py39_23.1.0-1-*.sh", Spec: `- {name: miniconda, kind: files, urls: ["https://repo.anaconda.com/miniconda/Miniconda3-py39_23.1.0-1-Linux-x86_64.sh"]}`, Note: "the role updates conda's packages from channels that no kind carries: miniconda_pkg_update: false"},
		{Name: "ood_url_codeserver_src", By: "role ood-wrapper", Public: []string{"https://github.com/cdr/code-server/releases/download/2.1698/code-server2.1698-vsc1.41.1-linux-x86_64.tar.gz"}, Vary: "2.1698"},
		{Name: "spack_repo", By: "role spack", Form: Repository, Public: []string{"https://github.com/spack/spack.git"}},
	}
}

func deepOpsImages() []Variable {
	image := func(name, by, ref, vary string) Variable {
		return Variable{Name: name, By: by, Form: Image, Public: []string{ref}, Vary: vary}
	}
	return []Variable{
		image("standalone_container_registry_image", "role standalone-container-registry", "docker.io/library/registry:3.1.1", "3.1.1"),
		{Name: "standalone_container_registry_cache_upstream", By: "role standalone-container-registry", Form: Custom, Make: dockerHub, Note: "the registry of the head node fetches from there what it has not", Spec: specDockerHub},
		image("prometheus_container", "role prometheus", "docker.io/prom/prometheus:v3.13.0", "3.13.0"),
		image("grafana_container", "role grafana", "docker.io/grafana/grafana:13.1.0", "13.1.0"),
		image("alertmanager_container", "role alertmanager", "docker.io/prom/alertmanager:v0.33.0", "0.33.0"),
		image("node_exporter_container", "role prometheus-node-exporter", "quay.io/prometheus/node-exporter:v1.11.1", "1.11.1"),
		image("nvidia_dcgm_container", "role nvidia-dcgm-exporter", "nvcr.io/nvidia/k8s/dcgm-exporter:4.5.3-4.8.2-distroless", "4.5.3-4.8.2-distroless"),
		{Name: "slurm_exporter_container", By: "role prometheus-slurm-exporter", Form: Image, Public: []string{"docker.io/deepops/prometheus-slurm-exporter:2.0.0"}, Vary: "2.0.0", Spec: specExporter},
		{Name: "slurm_exporter_build_image", By: "role prometheus-slurm-exporter", Form: Custom, Make: prebuilt, Note: "the role builds its image on the node, which asks archive.ubuntu.com: build it outside, by docker build and docker save, and carry it", Spec: specExporter},
		image("nginx_docker_cache_image", "role nginx-docker-registry-cache", "docker.io/rpardini/docker-registry-proxy:0.6.5", "0.6.5"),
		image("ngc_ready_cuda_container", "playbook ngc-ready-server.yml", "nvcr.io/nvidia/cuda:12.4.1-base-ubuntu22.04", "12.4.1-base-ubuntu22.04"),
		image("ngc_ready_pytorch", "playbook ngc-ready-server.yml", "nvcr.io/nvidia/pytorch:26.04-py3", "26.04-py3"),
		image("ngc_ready_tensorflow", "playbook ngc-ready-server.yml", "nvcr.io/nvidia/tensorflow:25.02-tf2-py3", "25.02-tf2-py3"),
	}
}

func deepOpsCharts() []Variable {
	repo := func(name, by, url, chartName, version string) Variable {
		return Variable{Name: name, By: by, Form: Folder, Public: []string{url}, Probe: chartName + "-*.tgz", Spec: chart(url, chartName, version)}
	}
	nfs := "https://kubernetes-sigs.github.io/nfs-subdir-external-provisioner"
	plugin, nvaie := "https://nvidia.github.io/k8s-device-plugin", "https://helm.ngc.nvidia.com/nvaie"
	return []Variable{
		repo("gpu_operator_helm_repo", "role nvidia-gpu-operator", ngcCharts, "gpu-operator", "v26.3.3"),
		{Name: "gpu_operator_nvaie_helm_repo", By: "role nvidia-gpu-operator", Form: Folder, Public: []string{nvaie}, Probe: "gpu-operator-*.tgz", Spec: chartAs("nvaie", nvaie, "gpu-operator", "v26.3.3")},
		repo("k8s_nfs_client_helm_repo", "role nfs-client-provisioner", nfs, "nfs-subdir-external-provisioner", "4.0.18"),
		repo("k8s_gpu_plugin_helm_repo", "role nvidia-k8s-gpu-device-plugin", plugin, "nvidia-device-plugin", "0.19.3"),
		repo("k8s_gpu_feature_discovery_helm_repo", "role nvidia-k8s-gpu-feature-discovery", plugin, "gpu-feature-discovery", "0.19.3"),
		repo("container_registry_chart_location", "role k8s-internal-container-registry", "https://helm.twun.io", "docker-registry", "2.1.0"),
	}
}

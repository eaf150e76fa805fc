# A NixOS module. In configuration.nix:
#
#   imports = [ ./warminfra.nix ];
#   services.warminfra = { enable = true; package = …; users = [ "ci" ]; };
{ config, lib, pkgs, ... }:

let
  cfg = config.services.warminfra;
  toml = pkgs.formats.toml { };
  where = {
    service = {
      group = "warminfra";
      runtime_dir = "/run/warminfra";
      state_dir = "/var/lib/warminfra";
      cache_dir = "/var/cache/warminfra";
    };
    keycloak.java_home = "${cfg.java}";
  };
in
{
  options.services.warminfra = {
    enable = lib.mkEnableOption "warm identity servers, leased to CI runs";
    package = lib.mkOption {
      type = lib.types.package;
      description = "The package with the warminfra command.";
    };
    java = lib.mkOption {
      type = lib.types.package;
      default = pkgs.jdk21_headless;
      defaultText = lib.literalExpression "pkgs.jdk21_headless";
      description = "The Java runtime of Keycloak, 17 or newer.";
    };
    users = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Who may lease.";
    };
    settings = lib.mkOption {
      type = toml.type;
      default = { };
      example = { sharing.policy = "unproven"; };
      description = "More of /etc/warminfra/config.toml.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc."warminfra/config.toml".source =
      toml.generate "warminfra.toml" (lib.recursiveUpdate where cfg.settings);
    users.groups.warminfra.members = cfg.users;
    users.users.warminfra = {
      isSystemUser = true;
      group = "warminfra";
      home = "/var/lib/warminfra";
    };
    systemd.services.warminfra = {
      description = "Warm identity servers, leased to CI runs";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" "docker.service" ];
      serviceConfig = {
        Type = "exec";
        User = "warminfra";
        Group = "warminfra";
        ExecStart = "${cfg.package}/bin/warminfra serve";
        RuntimeDirectory = "warminfra";
        RuntimeDirectoryMode = "0711";
        StateDirectory = "warminfra";
        StateDirectoryMode = "0700";
        CacheDirectory = "warminfra";
        CacheDirectoryMode = "0700";
        # Its identity servers run on while it is restarted, and the next start adopts them.
        KillMode = "process";
        Restart = "on-failure";
        NoNewPrivileges = true;
        ProtectSystem = "full";
        ProtectHome = "read-only";
      };
    };
  };
}

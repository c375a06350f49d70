# SPDX-License-Identifier: Apache-2.0
#
# What a sandbox's daemon answers on its control socket.

@0xd92946f1ceba77a6;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("stasis::control::rpc");

struct Status {
  # An absl::Status. Code 0 is success.
  code @0 :UInt32;
  message @1 :Text;
  payloads @2 :List(Payload);
}

struct Payload {
  url @0 :Text;
  data @1 :Data;
}

struct Info {
  name @0 :Text;
  version @1 :Text;          # of the daemon
  daemonPid @2 :Int32;
  initPid @3 :Int32;         # process 1 of the sandbox, as the host numbers it
  processes @4 :UInt32;      # in the sandbox, without init
  createdNs @5 :Int64;       # since 1970
  source @6 :Text;           # the image it was restored from; empty if none
  rootless @7 :Bool;         # has a user namespace of its own
  cgroup @8 :Text;           # empty if there is none
  cgroupVersion @9 :UInt32;
  workdir @10 :Text;         # where its first command started
  activity @11 :Text;        # "running", or what is done to it, such as "checkpointing"
  files @12 :UInt64;         # inodes of the tree
  bytes @13 :UInt64;         # of file data
  environment @14 :List(Text);  # what its first command was given with --env
  memoryBytes @15 :UInt64;   # of file data in memory
  memoryLimit @16 :UInt64;   # of those; 0: none
  sharedMemoryBytes @28 :UInt64;  # of data that others read in the same memory; not among those
  rollbacks @17 :UInt32;     # how often its programs were ended to roll it back
  upgrades @24 :UInt32;      # how often another daemon has taken over
  recoveries @25 :UInt32;    # how often one went on after another had died
  lastRecovery @26 :Text;    # why that one died; empty: none did
  keeperPid @27 :Int32;      # who would start the next one; 0: nobody
  command @18 :List(Text);   # its first command; empty: none, or one that it was not told of
  degraded @19 :Text;        # why some stored file data cannot be read; empty if all can
  prefetchMode @20 :Text;    # "trace", "all" or "none"
  prefetchState @21 :Text;   # "none", "running", "done", "incomplete", "limited" or "stopped"
  prefetchDone @22 :UInt64;  # bytes of file data whose turn has been
  prefetchTotal @23 :UInt64; # bytes in all
}

struct CheckpointParams {
  directory @0 :Text;        # absolute: the image layout
  tag @1 :Text;
  stop @2 :Bool;             # end the sandbox after success, without letting it run on
  digest @3 :Text;           # of which host files the content's digest is saved: "none", "open", "all"
  maxExtraMemory @7 :UInt64; # bytes of copies from which on writers wait; 0: the default
  timeoutMs @4 :UInt64;      # for all of it; 0: none
  freezeTimeoutMs @5 :UInt64;  # until all programs stand still; 0: the daemon's own
  series @6 :Text;           # the series that the checkpoint is one of; empty: none
  companion @8 :Text;        # digest of what was saved beside it by another program; empty: none
}

struct RollbackParams {
  directory @0 :Text;        # absolute: the image layout
  tag @1 :Text;
  safetyDirectory @2 :Text;  # absolute: where the state before is saved
  safetyTag @3 :Text;
  graceMs @4 :UInt64;        # between SIGTERM and SIGKILL
  roots @5 :List(Text);      # "NAME=DIR" of host directories, besides those that the sandbox has
  layerCache @6 :Text;       # these four as the options of `restore`
  validate @7 :Text;
  onDrift @8 :Text;
  rules @9 :List(Text);
}

struct UpgradeParams {
  binary @0 :Text;           # absolute: the program of the new daemon
  timeoutMs @1 :UInt64;      # for its start, and for all of it while programs wait
}

struct Report {
  json @0 :Text;             # as the command prints it with --json; empty if it has none
  text @1 :Text;
}

struct MountParams {
  mount @0 :Text;            # "NAME:DST[:OPTION...]", as after `run --mount`
  directory @1 :Text;        # of the host, absolute, for a NAME that is new; else empty
}

struct CommitParams {
  directory @0 :Text;        # absolute: the image layout
  tag @1 :Text;
  compression @2 :Text;      # of the layer: "gzip", "zstd", "none"
  author @3 :Text;
  message @4 :Text;
}

interface ProgressListener {
  update @0 (phase :Text, done :UInt64, total :UInt64, bytes :UInt64) -> (cancel :Bool);
  # done and total are chunks of a checkpoint, else names; bytes, what was stored or read so far. With
  # cancel the listener asks that the work be given up; whether that came in time is what it answers.
}

struct Event {
  timeNs @0 :Int64;          # since 1970
  events @1 :UInt32;         # IN_... bits of inotify(7)
  cookie @2 :UInt32;         # the same of the two sides of a rename
  removed @3 :Bool;          # done to what has lost its name
  path @4 :Data;             # as programs see it
}

interface EventListener {
  events @0 (events :List(Event), lost :UInt64) -> (stop :Bool);
  # `lost` came before these. Nothing more is sent until it has answered; with stop, nothing at all.
}

interface Control {
  getInfo @0 () -> (status :Status, info :Info);

  checkpoint @1 (params :CheckpointParams, listener :ProgressListener)
      -> (status :Status, report :Report);
  # Dropping the call cancels it as well; so does the end of the connection.

  stop @2 (graceMs :UInt64) -> (status :Status);
  # Answers at once. The daemon's lock is free when it has ended.

  addMount @3 (params :MountParams) -> (status :Status, report :Report);

  removeMount @4 (target :Text, detach :Bool) -> (status :Status, report :Report);

  getConfig @5 () -> (status :Status, report :Report);
  # The options it runs with: TOML, and JSON.

  diff @6 (listener :ProgressListener) -> (status :Status, report :Report);
  # What the upper layer of its root has changed.

  commit @7 (params :CommitParams, listener :ProgressListener) -> (status :Status, report :Report);
  # The upper layer as one of a container image.

  rollback @8 (params :RollbackParams, listener :ProgressListener)
      -> (status :Status, report :Report);
  # Ends the programs and puts an image in the place of the tree. Cancelled, it gives up what can
  # still be given up.

  fork @9 () -> (status :Status, report :Report);
  # The tree as it is, for another process of this host to take: JSON, see daemon/tasks.h.

  upgrade @10 (params :UpgradeParams) -> (status :Status, report :Report);
  # Another process goes on as the daemon. After success this one serves nobody any more; it ends
  # when its caller says `stop`, or after a moment.

  openFiles @11 () -> (status :Status, report :Report);
  # What its programs and its server have open.

  events @12 (reads :Bool, listener :EventListener) -> (status :Status);
  # What happens in its files, from now on until the listener has enough.
}

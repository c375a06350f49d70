// SPDX-License-Identifier: Apache-2.0

#include "tests/cmd/stasis/cli_fixture.h"

namespace stasis::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class CheckVersionTest : public CliTest {};

TEST_F(CheckVersionTest, CheckSaysWhatTheHostCanDo) {
  const Outcome outcome = Stasis({"check", "--json"});
  ASSERT_THAT(outcome, Succeeded());
  EXPECT_EQ(outcome.Json().at("usable"), true);
  std::vector<std::string> names;
  const nlohmann::json checks = outcome.Json().at("checks");
  for (const nlohmann::json& check : checks) names.push_back(check.at("name"));
  EXPECT_THAT(names,
              testing::ElementsAre("privileges", "fuse", "mount", "sandbox", "user_namespaces",
                                   "freezer", "passthrough", "io_uring", "criu"));
  EXPECT_THAT(Stasis({"check"}).out, HasSubstr("FUSE 7."));
}

TEST_F(CheckVersionTest, CheckGivesTheRemedyForAMissingDevice) {
  prefix_ = {"unshare", "--mount", "/bin/sh", "-c", "mount -t tmpfs tmpfs /dev && exec \"$@\"",
             "sh"};
  const Outcome outcome = Stasis({"check"});
  EXPECT_THAT(outcome, ExitsWith(1));
  EXPECT_THAT(outcome.out, HasSubstr("modprobe fuse"));
}

TEST_F(CheckVersionTest, VersionNamesTheFormat) {
  EXPECT_THAT(Stasis({"version"}).out,
              testing::MatchesRegex("stasis [0-9.]+ \\(image format 1\\)\n"));
  EXPECT_EQ(Stasis({"version", "--json"}).Json().at("image_format"), 1);
}

TEST_F(CheckVersionTest, CompletionsAreScripts) {
  EXPECT_THAT(Shell(binary_ + " completion bash > c.bash && bash -n c.bash"), Succeeded());
  const std::string bash = ReadFile(Path("c.bash"));
  for (const char* word : {"checkpoint", "--import", "--read-only"})
    EXPECT_THAT(bash, HasSubstr(word));
  EXPECT_THAT(Stasis({"completion", "zsh"}).out, HasSubstr("#compdef stasis"));
  EXPECT_THAT(Stasis({"completion", "fish"}).out, HasSubstr("complete -c stasis"));
  for (const char* shell : {"bash", "zsh", "fish"})
    for (const char* word :
         {"rollback", "safety", "every", "keep", "timeout", "progress", "upgrade", "binary"})
      EXPECT_THAT(Stasis({"completion", shell}).out, HasSubstr(word));
  EXPECT_THAT(bash, Not(HasSubstr("takeover"))) << "daemons start it";
  EXPECT_THAT(Stasis({"completion", "tcsh"}), ExitsWith(2));
}

TEST_F(CheckVersionTest, CompletionKnowsTheValuesOfOptions) {
  ASSERT_THAT(Shell(binary_ + " completion bash > c.bash"), Succeeded());
  WriteFile("complete.bash",
            "source c.bash; COMP_WORDS=(stasis \"$@\"); COMP_CWORD=$#; _stasis\n"
            "echo \"${COMPREPLY[*]}\"\n");
  const auto complete = [this](const Strings& words) {
    Strings line = {"bash", Path("complete.bash")};
    line.insert(line.end(), words.begin(), words.end());
    return Host(line).out;
  };
  EXPECT_EQ(complete({"restore", "--prefetch", ""}), "trace all none\n");
  EXPECT_EQ(complete({"restore", "--handles", "k"}), "keep\n");
  EXPECT_EQ(complete({"run", "--freezer", "c"}), "cgroup\n");
  EXPECT_EQ(complete({"run", "--upper", ""}), "memory none\n");
  EXPECT_EQ(complete({"run", "--upper", "c."}), "c.bash\n") << "or a directory";
  EXPECT_EQ(complete({"run", "--upp"}), "--upper\n");
  EXPECT_EQ(complete({"run", "--name", "c."}), "c.bash\n");
  EXPECT_THAT(Stasis({"completion", "zsh"}).out,
              HasSubstr("--prefetch) compadd -- trace all none;"));
  EXPECT_THAT(Stasis({"completion", "fish"}).out, HasSubstr("-l prefetch -r -a 'trace all none'"));
}

TEST_F(CheckVersionTest, WrongUsageIsExitCodeTwo) {
  for (const Strings& arguments :
       {Strings{}, Strings{"dance"}, Strings{"run", "--dance"}, Strings{"checkpoint", "box"},
        Strings{"ps", "--", "true"}, Strings{"inspect", "no-tag"}})
    EXPECT_THAT(Stasis(arguments), ExitsWith(2));
}

TEST_F(CheckVersionTest, WrongUsagePointsAtTheHelpOfTheCommand) {
  EXPECT_THAT(Stasis({"run", "--dance"}), FailsWith(2, "; try: stasis run --help"));
  EXPECT_THAT(Stasis({"dance"}), FailsWith(2, "; try: stasis --help"));
  EXPECT_THAT(Stasis({"run", "box", "ls"}), FailsWith(2, "stand after --"));
  const Outcome json = Stasis({"checkpoint", "--json"});
  EXPECT_THAT(json, ExitsWith(2));
  EXPECT_EQ(json.Json().at("error").at("code"), "invalid_argument");
}

TEST_F(CheckVersionTest, EveryCommandHasHelp) {
  for (const char* command :
       {"run",     "exec",   "ps",      "stop",      "checkpoint", "restore", "rollback",
        "upgrade", "import", "export",  "mount",     "serve",      "handles", "events",
        "log",     "rm",     "gc",      "squash",    "copy",       "inspect", "verify",
        "layers",  "check",  "version", "completion"}) {
    EXPECT_THAT(Stasis({command, "--help"}), Succeeded()) << command;
    EXPECT_THAT(Stasis({"--help"}).out, HasSubstr(command));
  }
}

}  // namespace
}  // namespace stasis::cli

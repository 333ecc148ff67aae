"""Table 2 in the output of the evaluation."""

from user_study.example_study import answer_all, invite, prefer

from cmm_jax.user_study import tally


def test_the_evaluation_includes_table_2_once_somebody_has_finished(
  study, tmp_path, capsys
):
  assert tally.user_study_tables(tmp_path / "elsewhere") == {}
  assert not capsys.readouterr().err
  assert tally.user_study_tables(tmp_path) == {}
  assert "Without table 2: Nobody has answered" in capsys.readouterr().err

  (person,) = invite(study)
  answer_all(study, person, prefer("cmm_net"))

  found = tally.user_study_tables(tmp_path)
  assert "## Table 2: user study" in found["markdown"]
  assert "| CMM-Net | 100.0 |" in found["markdown"]
  assert "CMM-Net & 100.0 &" in found["latex"]

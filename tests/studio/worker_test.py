"""The queue of jobs."""

import threading

import pytest

from cmm_jax.studio import worker


@pytest.fixture
def queue():
  queue = worker.Worker()
  yield queue
  queue.close()


def held(queue):
  """Occupies the worker; returns the job and what lets it go on."""
  going, gate = threading.Event(), threading.Event()

  def work(job):
    going.set()
    gate.wait(10)
    job.report("held")
    yield

  job = queue.submit(work)
  assert going.wait(10)
  return job, gate


def test_jobs_are_done_in_turn_and_know_their_place(queue):
  done = []

  def work(name):
    def parts(job):
      done.append(name)
      yield

    return parts

  first, gate = held(queue)
  second, third = (queue.submit(work(n)) for n in ("second", "third"))

  assert [queue.place(job) for job in (first, second, third)] == [0, 1, 2]
  gate.set()
  assert third.finished.wait(10)
  assert done == ["second", "third"]
  assert [first.error, second.error, third.error] == [None] * 3


def test_a_preview_passes_full_size_videos(queue):
  done = []

  def long(job):
    job.priority = worker.FULL_SIZE
    for part in range(3):
      yield
      done.append(part)

  def short(job):
    done.append("preview")
    yield

  _, gate = held(queue)
  jobs = queue.submit(long), queue.submit(short)
  gate.set()
  assert all(job.finished.wait(10) for job in jobs)

  assert done == ["preview", 0, 1, 2]


def test_a_canceled_job_stops_at_its_next_report_and_closes_its_files(queue):
  closed = []

  def work(job):
    try:
      yield
    finally:
      closed.append(True)

  job, gate = held(queue)
  waiting = queue.submit(work)
  begun = queue.submit(work)
  begun.cancel()
  job.cancel()
  gate.set()

  assert waiting.finished.wait(10) and begun.finished.wait(10)
  assert isinstance(job.error, worker.CanceledError)
  assert isinstance(begun.error, worker.CanceledError)
  assert waiting.error is None and closed == [True]


def test_a_job_that_fails_stops_no_other(queue):
  def work(job):
    job.publish("half of it")
    yield
    raise ValueError("no face")

  job = queue.submit(work)
  assert job.finished.wait(10)
  later, gate = held(queue)
  gate.set()

  assert str(job.error) == "no face" and job.result == "half of it"
  assert later.finished.wait(10) and later.error is None


def test_a_full_queue_takes_nobody_else(queue, monkeypatch):
  monkeypatch.setattr(worker, "MAX_WAITING", 1)
  _, gate = held(queue)

  with pytest.raises(worker.QueueFullError, match="1 people wait"):
    queue.submit(lambda job: iter(()))
  gate.set()

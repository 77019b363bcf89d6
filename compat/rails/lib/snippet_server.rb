# frozen_string_literal: true

require 'json'

# Runs Ruby that it reads, in the booted application. One JSON object a line each way:
#   {"id": 1, "code": "GoodJob::Job.count + args[:add]", "args": {"add": 1}}
#   {"id": 1, "value": 42}   or   {"id": 1, "error": {"class": "NameError", "message": "…", "backtrace": ["…"]}}
# Every snippet has a thread of its own, so that one that waits holds up no other.
class SnippetServer
  # What a snippet sees: its arguments, and the constants of the application.
  Sandbox = Struct.new(:args) do
    def evaluate(code) = instance_eval(code, 'snippet', 1)
  end

  def initialize(input, output)
    @input = input
    @output = output
    @mutex = Mutex.new
  end

  def serve
    say(ready: { rails: Rails.version, good_job: GoodJob::VERSION, ruby: RUBY_VERSION, pid: Process.pid })
    @input.each_line { |line| Thread.new { answer(JSON.parse(line)) } }
  end

  private

  def answer(request)
    args = request.fetch('args', {}).with_indifferent_access
    value = Rails.application.executor.wrap { Sandbox.new(args).evaluate(request.fetch('code')).as_json }
    say(id: request['id'], value: value)
  rescue Exception => error # rubocop:disable Lint/RescueException -- a snippet may raise anything, NotImplementedError too
    say(id: request['id'], error: { class: error.class.name, message: error.message, backtrace: error.backtrace.first(15) })
  end

  def say(message)
    @mutex.synchronize { @output.puts(JSON.generate(message)) }
  end
end

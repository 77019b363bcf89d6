# frozen_string_literal: true

# A process that a test started ends with the test, however that ends: its standard input is a pipe that only the test holds.
if ENV.key?('COMPAT_ENDS_WITH_STDIN')
  Thread.new do
    $stdin.read
    Process.kill(:KILL, Process.pid)
  end
end

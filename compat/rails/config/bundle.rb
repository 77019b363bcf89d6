# frozen_string_literal: true

require 'tmpdir'

# Where everything that is not in the repository lives: one folder of gems for all GoodJob versions, and per version a
# lockfile, the migration that its generator wrote, and temporary files.
module CompatBundle
  DEFAULT_GOOD_JOB_VERSION = '4.23.1'
  ROOT = File.expand_path('..', __dir__)

  module_function

  def good_job_version = ENV['GOOD_JOB_VERSION'].to_s.empty? ? DEFAULT_GOOD_JOB_VERSION : ENV['GOOD_JOB_VERSION']

  def cache = ENV['COMPAT_CACHE'].to_s.empty? ? File.join(Dir.tmpdir, 'good-job-node-compat') : ENV['COMPAT_CACHE']

  def version_cache = File.join(cache, "good_job-#{good_job_version}")

  def migrations = File.join(version_cache, 'migrate')

  def gemfile = File.join(version_cache, 'Gemfile')

  # Tells Bundler and Rails, in this process and in those it starts.
  def prepare_environment
    ENV.update(
      'GOOD_JOB_VERSION' => good_job_version,
      'COMPAT_CACHE' => cache,
      'BUNDLE_GEMFILE' => gemfile,
      'BUNDLE_PATH' => File.join(cache, 'gems'),
      'BUNDLE_APP_CONFIG' => File.join(cache, 'bundle'),
      'RAILS_ENV' => 'production'
    )
  end
end

CompatBundle.prepare_environment

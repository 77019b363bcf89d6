# frozen_string_literal: true

require_relative 'boot'

require 'rails'
require 'active_model/railtie'
require 'active_job/railtie'
require 'active_record/railtie'
require 'action_controller/railtie'
require 'action_view/railtie'
require 'good_job'

# The name is the host of every GlobalID, and the vectors were written by an application of this name.
module Shop
  class Application < Rails::Application
    config.load_defaults 7.2
    config.root = CompatBundle::ROOT
    config.paths['tmp'] = File.join(CompatBundle.version_cache, 'tmp')
    config.paths['log'] = File.join(CompatBundle.version_cache, 'log')
    config.paths['db/migrate'] = [CompatBundle.migrations, File.join(CompatBundle::ROOT, 'db/compat')]

    # As in production, apart from the certificate: loopback has none.
    config.eager_load = true
    config.enable_reloading = false
    config.consider_all_requests_local = false
    config.action_controller.perform_caching = true
    config.action_controller.allow_forgery_protection = true
    config.active_record.dump_schema_after_migration = false
    config.secret_key_base = 'only for tests on the loopback interface ' * 4
    config.time_zone = 'UTC'
    config.logger = ActiveSupport::TaggedLogging.new(ActiveSupport::Logger.new($stderr))
    config.log_level = ENV.fetch('COMPAT_LOG_LEVEL', 'info').to_sym

    # The older way to declare a limit is one of those that are tested.
    GoodJob.deprecator.silenced = true
    config.active_job.queue_adapter = :good_job
    config.after_initialize { ActiveJob::Serializers.add_serializers(MoneySerializer) }

    config.good_job.enable_pauses = !ENV.key?('COMPAT_WITHOUT_PAUSES') # As GoodJob's default, for benchmarks.
    config.good_job.on_thread_error = ->(error) { CompatEvent.record('thread_error', error: error.class.name, message: error.message) }
    config.good_job.cron = {
      yearly: { cron: '0 0 1 1 *', class: 'CronJob', args: ['yearly'], description: 'Works in Ruby' },
      node_yearly: { cron: '0 0 1 1 *', class: 'Node::CronJob', args: ['node_yearly'], description: 'Works in Node' },
      secondly: { cron: '* * * * * *', class: 'CronJob', args: ['secondly'], enabled_by_default: ENV.key?('COMPAT_SECONDLY_CRON') },
    }
  end
end

# frozen_string_literal: true

# A place where a test holds a worker up, as a stopped process or a slow host would: between the commit of an outcome and the
# bookkeeping of its batch.
if ENV.key?('COMPAT_HOLDS_BOOKKEEPING')
  ActiveSupport.on_load(:good_job_batch_record) do
    prepend(Module.new do
      def _continue_discard_or_finish(...)
        Gate.pass("bookkeeping of #{id}")
        super
      end
    end)
  end
end

# frozen_string_literal: true

class CreateCompatTables < ActiveRecord::Migration[7.2]
  def change
    create_table :compat_events do |t|
      t.text :name, null: false
      t.jsonb :payload, null: false, default: {}
      t.datetime :created_at, null: false, default: -> { 'clock_timestamp()' }
    end

    create_table :compat_failures, id: false do |t|
      t.text :name, null: false, primary_key: true
      t.integer :remaining, null: false
    end
  end
end

console.log(JSON.stringify({ ok: true, node: process.version }))

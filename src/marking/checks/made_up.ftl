test-wanted = wanted: something above { $above }
test-closest = closest: { $message }
test-proof = { $message } it is

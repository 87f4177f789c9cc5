ROSTER = ["Ann", "Bob"]
